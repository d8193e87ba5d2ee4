"""What each row of the table “See what is accepted” describes, built small: see ``test_accepted``."""
