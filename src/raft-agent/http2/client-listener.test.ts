import { execFileSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, get as httpGet } from "node:http";
import { connect } from "node:http2";
import { get as httpsGet } from "node:https";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ListenerTls, listenForClients } from "./client-listener.ts";
import { startEchoServer } from "./echo-server.fixture.ts";

const host = "127.77.13.5";

async function textOf(request: ReturnType<typeof httpGet>): Promise<string> {
  const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) =>
    request.once("response", resolve).once("error", reject),
  );
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

async function h2Status(url: string, options: Parameters<typeof connect>[1] = {}): Promise<number | undefined> {
  const session = connect(url, options);
  try {
    return await new Promise((resolve, reject) => {
      session.once("error", reject);
      const stream = session.request({ ":path": "/" });
      stream.once("error", reject);
      stream.once("response", (fields) => resolve(fields[":status"]));
    });
  } finally {
    session.destroy();
  }
}

describe("client listener", () => {
  let directory: string;
  const files = (name: string): { cert: string; key: string } => ({
    cert: readFileSync(join(directory, `${name}.crt`), "utf8"),
    key: readFileSync(join(directory, `${name}.key`), "utf8"),
  });
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  };
  const issue = (name: string, commonName: string): void => {
    openssl(
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${commonName}`,
    );
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-out",
      `${name}.crt`,
    );
  };

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-listener-"));
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-days",
      "2",
      "-subj",
      "/CN=test ca",
    );
    issue("server", "first");
    issue("renewed", "second");
    issue("client", "alice");
    issue("twice", "alice/CN=root");
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("serves HTTP/1.1 and HTTP/2 with prior knowledge on one plaintext port", async () => {
    const http = createServer((request, response) => response.end(`http ${request.url}`));
    const server = await startEchoServer(host, {}, undefined, { onHttp1: (socket) => http.emit("connection", socket) });
    expect(await textOf(httpGet(`http://${host}:${server.port}/health`))).toBe("http /health");
    expect(await h2Status(`http://${host}:${server.port}`)).toBe(200);
    // A request line that starts like the preface, sent byte by byte, is still HTTP/1.1.
    const socket = connectTcp(server.port, host);
    for (const byte of "PROPFIND / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n") {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    let text = "";
    for await (const chunk of socket) text += chunk;
    expect(text).toContain("http /");
    http.close();
    await server.close();
  });

  it("A9: serves clients with and without TLS on one port, HTTP/1.1 and HTTP/2 both", async () => {
    const http = createServer((_, response) => response.end("http1"));
    const tls = { ...files("server"), ca: files("ca").cert };
    const server = await startEchoServer(host, {}, undefined, {
      tls,
      plain: true,
      onHttp1: (socket) => http.emit("connection", socket),
    });
    const { port } = server;
    const trust = { ca: files("ca").cert, servername: "localhost", rejectUnauthorized: false };
    for (let round = 0; round < 2; round++) {
      expect(await textOf(httpGet({ host, port, agent: false }))).toBe("http1");
      expect(await textOf(httpsGet({ host, port, agent: false, ...trust }))).toBe("http1");
      expect(await h2Status(`http://${host}:${port}`)).toBe(200);
      expect(await h2Status(`https://${host}:${port}`, trust)).toBe(200);
    }
    http.close();
    await server.close();
  });

  it("A9: drops a client of a port with and without TLS that sends nothing, or nothing more, in time", async () => {
    const tls = { ...files("server"), ca: files("ca").cert };
    const server = await startEchoServer(host, {}, undefined, { tls, plain: true, handshakeTimeoutMs: 20 });
    for (const bytes of [Buffer.alloc(0), Buffer.from([0x16]), Buffer.from([0x16, 3, 1])]) {
      const socket = connectTcp(server.port, host);
      socket.write(bytes);
      await new Promise((resolve) => socket.once("close", resolve));
    }
    await server.close();
  });

  it("drops a client that sends nothing in time", async () => {
    const server = await startEchoServer(host, {}, undefined, { handshakeTimeoutMs: 20 });
    const socket = connectTcp(server.port, host);
    await new Promise((resolve) => socket.once("close", resolve));
    await server.close();
  });

  it("A low: selects the protocol by ALPN, verifies clients and reports their name, and none for two names", async () => {
    const http = createServer((_request, response) => response.end("secure"));
    const ca = readFileSync(join(directory, "ca.crt"), "utf8");
    const tls: ListenerTls = { ...files("server"), ca, requireClientCertificate: true };
    const server = await startEchoServer(host, {}, undefined, {
      tls,
      onHttp1: (socket) => http.emit("connection", socket),
    });
    const url = `https://${host}:${server.port}`;
    const trust = { ca, checkServerIdentity: () => undefined };
    expect(await h2Status(url, { ...trust, ...files("client") })).toBe(200);
    expect(server.seenCommonNames).toEqual(["alice"]);
    // Programs differ in which of two names is the user, so neither is.
    expect(await h2Status(url, { ...trust, ...files("twice") })).toBe(200);
    expect(server.seenCommonNames).toEqual(["alice", undefined]);
    expect(await textOf(httpsGet(url, { ...trust, ...files("client"), agent: false }))).toBe("secure");
    await expect(h2Status(url, trust)).rejects.toThrow();
    http.close();
    await server.close();
  });

  it("closes a connection whose client has disconnected, even if a write never ends", async () => {
    const closed = new EventEmitter();
    const server = await listenForClients({
      host,
      port: 0,
      tls: files("server"),
      onHttp2: (socket) => {
        // As in Node.js when a reset intervenes.
        socket._write = () => {};
        socket.on("close", () => closed.emit("close")).resume();
        socket.write("the last words");
      },
    });
    const client = connectTls({ host, port: server.port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
    client.once("secureConnect", () => client.end());
    await once(closed, "close");
    await server.close();
  });

  it("uses renewed certificates and rejects a mismatched key", async () => {
    const listener = await listenForClients({
      host,
      port: 0,
      tls: files("server"),
      onHttp2: (socket) => socket.destroy(),
    });
    const subject = async (): Promise<string> => {
      const { connect: connectTls } = await import("node:tls");
      const socket = connectTls({ host, port: listener.port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      const name = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      return String(name);
    };
    expect(await subject()).toBe("first");
    listener.replaceTls(files("renewed"));
    expect(await subject()).toBe("second");
    const mixed = { cert: files("server").cert, key: files("renewed").key };
    expect(() => listener.replaceTls(mixed)).toThrow("Cannot load certificates");
    expect(await subject()).toBe("second");
    await listener.close();
  });

  it("reports the address it cannot listen on", async () => {
    const onHttp2 = (): void => undefined;
    await expect(listenForClients({ host: "203.0.113.1", port: 0, onHttp2 })).rejects.toThrow(
      "Cannot listen on 203.0.113.1:0",
    );
  });
});
