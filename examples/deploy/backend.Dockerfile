# The sample backend's image: docker build -f examples/deploy/backend.Dockerfile -t chat-backend .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY examples/backends/go examples/backends/go
RUN CGO_ENABLED=0 go build -trimpath -o /backend ./examples/backends/go

FROM scratch
COPY --from=build /backend /backend
USER 65532:65532
CMD ["/backend"]
