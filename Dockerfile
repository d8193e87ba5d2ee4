# sammix on a CPU, with the versions that are tested.
#   docker build -t sammix .
#   docker run --rm -v "$PWD:/data" sammix predict scan.nii.gz --out masks
FROM python:3.11-slim
RUN useradd --create-home sammix
WORKDIR /opt/sammix
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# PyTorch's usual wheel brings CUDA with it. --build-arg PIP_EXTRA_INDEX_URL=… names an index of CPU builds, and saves gigabytes.
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir -c constraints.txt .
USER sammix
RUN sammix weights fetch lite-medsam
WORKDIR /data
ENTRYPOINT ["sammix"]
