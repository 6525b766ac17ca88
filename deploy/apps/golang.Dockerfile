# The Go service of the demo; the context is the repository's root. Behind a proxy for modules, give the settings with
# `--secret id=go-env,src=$(go env GOENV)`.

FROM --platform=$BUILDPLATFORM golang:1.27-trixie AS build
ARG TARGETARCH
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOCACHE=/go/cache GOENV=/run/secrets/go-env
WORKDIR /source
COPY demo-apps/golang-app/go.mod demo-apps/golang-app/go.sum demo-apps/golang-app/main.go ./
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/go/cache \
    --mount=type=secret,id=go-env \
    GOARCH="${TARGETARCH}" go build -trimpath -ldflags "-s -w" -o /golang-app .

FROM scratch
COPY --from=build /golang-app /golang-app
USER 10001:10001
ENTRYPOINT ["/golang-app"]
