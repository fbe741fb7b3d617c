# Wheels are made in the first stage, so the image that runs has no compiler in it.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY relay_client relay_client
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links=/wheels tapdeck \
    && rm -r /wheels \
    && useradd --system --uid 10001 --no-create-home tapdeck \
    && install -d -o tapdeck /recordings

ENV PYTHONUNBUFFERED=1 \
    TAPDECK_HTTP_LISTEN=0.0.0.0:8080 \
    TAPDECK_RTP_LISTEN=0.0.0.0:40000 \
    TAPDECK_RECORDINGS_DIR=/recordings

USER tapdeck
WORKDIR /recordings
VOLUME /recordings
EXPOSE 8080/tcp 40000/udp

HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD \
    ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['TAPDECK_HTTP_LISTEN'].rpartition(':')[2] + '/healthz', timeout=4)"]

ENTRYPOINT ["tapdeck"]
CMD ["serve"]
