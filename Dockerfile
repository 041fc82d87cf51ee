# The operator's image: docker build -t slotwright:0.1.0 .
# Both stages are the same Debian release, so that what was linked is what is there.
FROM debian:13-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        g++ cmake ninja-build mold pkg-config \
        libcpprest-dev libboost-dev libboost-system-dev libssl-dev zlib1g-dev \
        nlohmann-json3-dev libyaml-cpp-dev libhiredis-dev prometheus-cpp-dev libspdlog-dev libfmt-dev libcli11-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY crds crds
COPY reconciler reconciler
COPY controllers controllers
COPY operator operator
# Without local mode and tests: what is not there cannot be misused.
RUN cmake --preset release -DSLOTWRIGHT_LOCAL=OFF -DSLOTWRIGHT_TESTS=OFF \
    && ninja -C build/release slotwright-operator \
    && strip --strip-unneeded build/release/operator/slotwright-operator

FROM debian:13-slim
# No certificates: the API server's authority comes with the ServiceAccount.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libcpprest2.10 libssl3t64 zlib1g libyaml-cpp0.8 libhiredis1.1.0 libprometheus-cpp-core1.0 \
        libspdlog1.15 libfmt10 libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/operator/slotwright-operator /usr/local/bin/slotwright
COPY LICENSE /usr/share/doc/slotwright/copyright
# Nobody in particular, by number: Kubernetes checks runAsNonRoot by the number alone.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/slotwright"]
CMD ["operator"]
