# One image for the three services; the command selects one. See docs/deploying.md.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY deploy/image/*.txt deploy/image/
# Only packages whose hashes are in these files are installed.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: --requirement deploy/image/build.txt \
    && /opt/build/bin/pip wheel --require-hashes --no-build-isolation --wheel-dir /wheels --requirement deploy/image/run.txt
COPY packages/ packages/
COPY services/ services/
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels packages/protocol packages/client packages/runtime services/* \
    && python -m venv --without-pip /opt/ajobs \
    && pip --python /opt/ajobs/bin/python install --no-deps --no-index /wheels/*.whl \
    && pip --python /opt/ajobs/bin/python check

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="ajobs" \
      org.opencontainers.image.description="A durable job queue on NATS JetStream: worker, scheduler and admin" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /app --shell /usr/sbin/nologin ajobs \
    && install --directory --owner ajobs --group ajobs /app /handlers
COPY --from=build /opt/ajobs /opt/ajobs
COPY --chmod=755 deploy/image/ready.py /usr/local/bin/ajobs-ready
# Handlers are imported from /app, where your own image puts them, and from /handlers, where a folder can be mounted.
# `pip install` in your own image adds to the packages that are installed here.
ENV PATH=/opt/ajobs/bin:$PATH \
    PIP_PYTHON=/opt/ajobs/bin/python \
    PYTHONPATH=/app:/handlers \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AJ_MONITOR=9000 \
    AJ_MONITOR_HOST=0.0.0.0
WORKDIR /app
USER 10001:10001
EXPOSE 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["ajobs-ready"]
CMD ["ajobs-worker"]
