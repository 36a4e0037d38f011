ARG BASE
FROM ${BASE} AS builder
ARG WHAT=oops
WORKDIR /src
RUN echo one \
    && echo two > /two
RUN echo "#7 DONE 0.1s"; \
    echo ${WHAT}; echo last >&2; exit 7
FROM ${BASE}
COPY --from=builder /two /two
