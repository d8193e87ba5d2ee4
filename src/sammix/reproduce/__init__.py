"""The paper's tables and figures as a grid of jobs that can be stopped, resumed, and run in parts."""
