/** The client port as seen by curl and browsers: HTTP/2 with and without TLS, not gRPC. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHarness, self } from "../../../test/support/single-member.ts";
import { openAuthority } from "../../pki/authority.ts";
import { GrpcServer } from "../grpc/grpc-server.ts";
import { type ClientListener, type ListenerTls, listenForClients } from "../http2/client-listener.ts";
import { memberValues } from "../metrics/member-values.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { createHttpHandler } from "./http-handler.ts";

const host = "127.77.27.2";
const run = promisify(execFile);
const hasCurl = await run("curl", ["--version"]).then(
  ({ stdout }) => stdout.includes("HTTP2"),
  () => false,
);

type Port = { url: string; grpc: GrpcServer; http: Server; listener: ClientListener; client: ClientHttp2Session };

let directory: string;
let tls: ListenerTls & { ca: string };
let user: { cert: string; key: string };
const ports: Port[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-http2-"));
  const authority = openAuthority({ directory: join(directory, "pki") });
  await authority.createAuthority("demo authority");
  await authority.issue({ name: "m1", profile: "member", commonName: "m1", subjectAltNames: [host] });
  await authority.issue({ name: "user", profile: "client", commonName: "root", subjectAltNames: [] });
  const member = await authority.material("m1");
  const client = await authority.material("user");
  tls = { cert: member.certificatePem, key: member.keyPem, ca: member.caPem, requireClientCertificate: true };
  user = { cert: client.certificatePem, key: client.keyPem };
  writeFileSync(join(directory, "ca.crt"), member.caPem);
  writeFileSync(join(directory, "user.crt"), user.cert);
  writeFileSync(join(directory, "user.key"), user.key);
});
afterAll(async () => {
  for (const { grpc, http, listener, client } of ports) {
    client.destroy();
    http.closeAllConnections();
    await listener.close();
    await grpc.shutdown(0);
  }
  rmSync(directory, { recursive: true, force: true });
});

async function open(withTls: boolean): Promise<Port> {
  const { services } = await createHarness({
    auth: {
      bcryptCost: 4,
      loginByCertificate: true,
      tokens: { kind: "simple", ttlMs: 60_000 },
    },
  });
  const values = { values: () => memberValues(services), grpcMethods: () => grpc.counters };
  const metrics = createMetrics({
    version: "3.6.1",
    memberId: self,
    promotionsRejected: new Map(),
    clusterVersion: () => "3.6.0",
    extensive: false,
    ...values,
  });
  const onHttp1 = (socket: import("node:stream").Duplex): void => {
    http.emit("connection", socket);
  };
  const grpc = new GrpcServer({ methods: services.methods, onHttp1 });
  const shared = { services, metrics, gateway: true, corsOrigins: [], hostWhitelist: ["*"] };
  const http = createServer(createHttpHandler({ ...shared, counters: grpc.counters }));
  const listener = await listenForClients({
    host,
    port: 0,
    onHttp1,
    onHttp2: (socket, commonName) => grpc.accept(socket, commonName),
    ...(withTls ? { tls } : {}),
  });
  const url = `${withTls ? "https" : "http"}://${host}:${listener.port}`;
  const client = connect(url, withTls ? { ca: tls.ca, ...user } : {});
  client.on("error", () => undefined);
  const port = { url, grpc, http, listener, client };
  ports.push(port);
  return port;
}

async function send(
  { client }: Port,
  path: string,
  body?: unknown,
  contentType = "application/json",
): Promise<[status: number | undefined, text: string]> {
  const fields =
    body === undefined ? { ":path": path } : { ":method": "POST", ":path": path, "content-type": contentType };
  const stream = client.request(fields);
  let status: number | undefined;
  stream.on("response", (headers) => (status = headers[":status"]));
  stream.end(body === undefined ? undefined : JSON.stringify(body));
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk;
  return [status, text];
}

describe.each([
  ["TLS", true],
  ["prior knowledge", false],
])("client port over HTTP/2 with %s", (_, withTls) => {
  let port: Port;
  beforeAll(async () => {
    port = await open(withTls);
  });

  it("serves health, version and metrics", async () => {
    expect(await send(port, "/health")).toEqual([200, '{"health":"true","reason":""}']);
    expect((await send(port, "/version"))[1]).toContain('"etcdserver":"3.6.1"');
    expect((await send(port, "/readyz"))[0]).toBe(200);
    expect((await send(port, "/metrics"))[1]).toContain("etcd_server_has_leader 1\n");
    expect(await send(port, "/nothing")).toEqual([404, "404 page not found\n"]);
  });

  it("serves the JSON gateway for any content-type except gRPC's", async () => {
    for (const contentType of ["application/json", "text/plain"]) {
      const [status, text] = await send(port, "/v3/kv/put", { key: "YQ==", value: "Yg==" }, contentType);
      expect([status, JSON.parse(text)]).toMatchObject([200, { header: { raft_term: "2" } }]);
    }
    expect(JSON.parse((await send(port, "/v3/kv/range", { key: "YQ==" }))[1])).toMatchObject({ count: "1" });
    expect((await send(port, "/v3/kv/put", {}, "application/grpc-web"))[0]).toBe(415);
  });

  it("streams a watch and detects its end", async () => {
    const stream = port.client.request({ ":method": "POST", ":path": "/v3/watch" });
    let text = "";
    const lines = (): unknown[] =>
      text
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    stream.write(JSON.stringify({ create_request: { key: "dw==" } }));
    while (lines().length < 1) await new Promise((resolve) => setTimeout(resolve, 2));
    await send(port, "/v3/kv/put", { key: "dw==", value: "MQ==" });
    while (lines().length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(lines()).toMatchObject([
      { result: { created: true } },
      { result: { events: [{ kv: { key: "dw==", value: "MQ==" } }] } },
    ]);
    stream.close();
    while ((await send(port, "/metrics"))[1].match(/^etcd_debugging_mvcc_watcher_total (\d+)/m)?.[1] !== "0")
      await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it.skipIf(!hasCurl)("serves curl", async () => {
    const certificates = ["--cacert", "ca.crt", "--cert", "user.crt", "--key", "user.key"];
    const curl = async (path: string, ...more: string[]): Promise<string> => {
      const how = withTls ? certificates : ["--http2-prior-knowledge"];
      const written = ["-w", "%{http_version} %{http_code}"];
      const words = ["-sS", "-m", "10", ...how, ...written, ...more, port.url + path];
      return (await run("curl", words, { cwd: directory })).stdout;
    };
    expect(await curl("/health")).toBe('{"health":"true","reason":""}2 200');
    expect(await curl("/health", "-I")).toMatch(/^HTTP\/2 405 [\s\S]*2 405$/);
    expect(await curl("/v3/kv/put", "-d", '{"key":"Yw==","value":"ZA=="}')).toMatch(/^\{"header":.*\}2 200$/);
    expect(await curl("/v3/kv/range", "-d", '{"key":"Yw=="}')).toContain('"value":"ZA=="');
  });
});

describe("JSON gateway over HTTP/2", () => {
  it("does not take the user from the client's certificate", async () => {
    const port = await open(true);
    const calls: readonly [string, unknown][] = [
      ["user/add", { name: "root", password: "secret" }],
      ["role/add", { name: "root" }],
      ["user/grant", { user: "root", role: "root" }],
      ["enable", {}],
    ];
    for (const [path, body] of calls) expect((await send(port, `/v3/auth/${path}`, body))[0]).toBe(200);
    const [status, text] = await send(port, "/v3/kv/range", { key: "YQ==" });
    expect([status, JSON.parse(text).error]).toEqual([400, "etcdserver: user name is empty"]);
  });
});
