# A static binary in an empty image.

FROM rust:1-alpine AS build
RUN apk add --no-cache gcc musl-dev
WORKDIR /build

# The dependencies are a layer of their own, built anew only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY bench/Cargo.toml bench/
RUN mkdir -p src bench/src \
    && echo 'fn main() {}' | tee src/main.rs > bench/src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --package logagg \
    && rm -r src bench/src

COPY src src
RUN mkdir -p bench/src && echo 'fn main() {}' > bench/src/main.rs \
    && touch src/main.rs src/lib.rs \
    && cargo build --release --locked --package logagg \
    && mkdir /data

FROM scratch
COPY --from=build /build/target/release/logagg /usr/local/bin/logagg
COPY --from=build --chown=1000:1000 /data /app/data
WORKDIR /app
USER 1000
VOLUME /app/data
EXPOSE 8080
# Asks the address of the variables HOST, PORT and LISTEN.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/local/bin/logagg", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/logagg", "serve"]
