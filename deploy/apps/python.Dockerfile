# A Python service of the demo: APP is its folder in demo-apps; the context is the repository's root. Behind a mirror of PyPI,
# give its settings with `--secret id=pip-config,src=/etc/pip.conf`.

FROM python:3.13-slim-trixie AS packages
ARG APP
COPY deploy/apps/${APP}.lock /packages.lock
ENV PIP_CACHE_DIR=/var/cache/pip
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=secret,id=pip-config,target=/etc/pip.conf \
    python -m venv /venv \
    && /venv/bin/pip install --disable-pip-version-check --require-hashes --requirement /packages.lock

FROM python:3.13-slim-trixie
ARG APP
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=packages /venv /venv
COPY demo-apps/${APP}/app.py ./
USER 10001:10001
CMD ["python", "app.py"]
