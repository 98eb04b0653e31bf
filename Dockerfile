# The hub in an image: hash-checked requirements, no compiler, no root. Built twice from the same base, so that what only
# building needs stays behind.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv /hub && python -m venv /build
COPY requirements.txt requirements-build.txt ./
RUN /hub/bin/python -m pip install --require-hashes --requirement requirements.txt \
 && /build/bin/python -m pip install --require-hashes --requirement requirements-build.txt
COPY . .
RUN /build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /hub/bin/python -m pip install --no-deps --no-index /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --home-dir /project --shell /usr/sbin/nologin hub \
 && install --directory --owner hub --group hub /project
COPY --from=build /hub /hub
ENV PATH="/hub/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
# A project: hub.yaml and mappings/, as `hub init` makes them. Mounted, not copied: it changes without a new image.
WORKDIR /project
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["hub"]
# Inside a container only its own network can reach this address; docker-compose.yml publishes it on loopback.
CMD ["run", "--host", "0.0.0.0", "--port", "8080"]
