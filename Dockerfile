# A static binary in an empty image, which runs as a user without rights:
#   docker build -t logagg .
#   docker run -p 127.0.0.1:8080:8080 -v logagg-data:/app/data --read-only --cap-drop ALL logagg
# With the commands of a fleet: docker build -t logagg-fleet --build-arg FEATURES=fleet .

ARG RUST_VERSION=1
FROM rust:${RUST_VERSION}-alpine AS build
# Besides the default ones.
ARG FEATURES=
RUN apk add --no-cache gcc musl-dev
WORKDIR /build

# The dependencies are a layer of their own, built again only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY bench/Cargo.toml bench/
RUN mkdir -p src bench/src \
    && echo 'fn main() {}' | tee src/main.rs > bench/src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --package logagg --features "$FEATURES" \
    && rm -r src

# The new times tell cargo that these are not the files of the layer above.
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --package logagg --features "$FEATURES"

# What the image promises: the program needs no other file, and is small.
RUN readelf --program-headers target/release/logagg > headers \
    && ! grep -q INTERP headers \
    && test "$(stat -c %s target/release/logagg)" -lt 8000000 \
    && mkdir /data

FROM scratch
LABEL org.opencontainers.image.title="logagg" \
      org.opencontainers.image.description="A pub-sub log aggregator: every event stored once, on disk before the answer" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /build/target/release/logagg /usr/local/bin/logagg
COPY --from=build --chown=1000:1000 /data /app/data
ENV PATH=/usr/local/bin
# Every address of the container: which of them others reach is said where it is run.
ENV HOST=0.0.0.0
# `logagg convert` sorts in a file; there is no /tmp, and the root file system may be read-only.
ENV SQLITE_TMPDIR=/app/data
WORKDIR /app
USER 1000:1000
VOLUME /app/data
EXPOSE 8080
STOPSIGNAL SIGTERM
# Asks the address of the variables HOST, PORT and LISTEN.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/logagg", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/logagg"]
CMD ["serve"]
