/**
 * The process as operators of an etcd see it: the flags of kubeadm's manifest, probes, variables as in Debian's unit,
 * the line that reports that it serves, systemd, signals, a directory that is in use.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAuthority } from "../../src/pki/authority.ts";
import { freePorts } from "./member-processes.ts";

const host = "127.77.35.3";
const agentMain = fileURLToPath(new URL("../../dist/cmd/haplan-agent/main.js", import.meta.url));

type Running = { readonly child: ChildProcess; log(): string; readonly ended: Promise<number | null> };

function start(flags: readonly string[], environment: Readonly<Record<string, string>>): Running {
  const env = { PATH: process.env["PATH"], ...environment };
  const child = spawn(process.execPath, [agentMain, ...flags], { env, stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return { child, log: () => text, ended: new Promise((resolve) => child.once("close", (code) => resolve(code))) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function ready(running: Running): Promise<void> {
  await until(
    () => running.log().includes('"msg":"ready to serve client requests"') || running.child.exitCode !== null,
  );
  expect(running.child.exitCode, running.log()).toBeNull();
}

function memberIdIn(running: Running): string | undefined {
  return /"local-member-id":"([0-9a-f]+)"/.exec(running.log())?.[1];
}

describe("haplan-agent in etcd's place", () => {
  const directory = mkdtempSync(join(tmpdir(), "haplan-operator-"));
  const running: Running[] = [];
  const file = (name: string): string => join(directory, name);
  let ports: number[];
  let manifest: string[];
  beforeAll(async () => {
    const authority = openAuthority({ directory });
    await authority.createAuthority("etcd-ca");
    await authority.issue({ name: "server", profile: "member", commonName: "m1", subjectAltNames: [host] });
    await authority.issue({ name: "peer", profile: "member", commonName: "m1", subjectAltNames: [host] });
    await authority.issue({ name: "apiserver", profile: "client", commonName: "apiserver", subjectAltNames: [] });
    ports = await freePorts(host, 3);
    const [client, peer, metrics] = ports;
    manifest = [
      `--advertise-client-urls=https://${host}:${client}`,
      `--cert-file=${file("server.crt")}`,
      "--client-cert-auth=true",
      `--data-dir=${file("data")}`,
      "--feature-gates=InitialCorruptCheck=true",
      // Over TLS, and where only probes are served, any host name is accepted.
      "--host-whitelist=another-name",
      `--initial-advertise-peer-urls=https://${host}:${peer}`,
      `--initial-cluster=m1=https://${host}:${peer}`,
      `--key-file=${file("server.key")}`,
      `--listen-client-urls=https://${host}:${client}`,
      `--listen-metrics-urls=http://${host}:${metrics}`,
      `--listen-peer-urls=https://${host}:${peer}`,
      "--name=m1",
      `--peer-cert-file=${file("peer.crt")}`,
      "--peer-client-cert-auth=true",
      `--peer-key-file=${file("peer.key")}`,
      `--peer-trusted-ca-file=${file("ca.crt")}`,
      "--snapshot-count=10000",
      `--trusted-ca-file=${file("ca.crt")}`,
      "--watch-progress-notify-interval=5s",
    ];
    // Stands in for systemd's tool, which has to be root to notify on behalf of another process.
    mkdirSync(file("bin"));
    writeFileSync(file("bin/systemd-notify"), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" > ${file("notified")}\n`, {
      mode: 0o755,
    });
  });
  afterAll(async () => {
    for (const { child } of running) child.kill("SIGKILL");
    await Promise.all(running.map(({ ended }) => ended));
    rmSync(directory, { recursive: true, force: true });
  });

  const begin = (flags: readonly string[], environment: Record<string, string> = {}): Running => {
    const begun = start(flags, environment);
    running.push(begun);
    return begun;
  };
  const askHttps = (port: number, options: object): Promise<number | string> =>
    new Promise((resolve) => {
      const asked = request({ host: host, port, path: "/version", agent: false, ...options }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asked.once("error", () => resolve("refused")).end();
    });

  it("runs from kubeadm's manifest: probes, certificates, systemd, a second process, SIGTERM", async () => {
    const environment = { NOTIFY_SOCKET: "/run/notify", PATH: `${file("bin")}:${process.env["PATH"]}` };
    const first = begin(manifest, environment);
    await ready(first);
    for (const path of [
      "health?exclude=NOSPACE&serializable=true",
      "health?serializable=false",
      "livez",
      "readyz",
      "readyz/linearizable_read",
    ]) {
      expect((await fetch(`http://${host}:${ports[2]}/${path}`)).status, path).toBe(200);
    }
    const ca = readFileSync(file("ca.crt"));
    const own = { cert: readFileSync(file("apiserver.crt")), key: readFileSync(file("apiserver.key")) };
    expect(await askHttps(ports[0]!, { ca, ...own })).toBe(200);
    expect(await askHttps(ports[0]!, { ca })).toBe("refused");
    await until(() => existsSync(file("notified")) && readFileSync(file("notified"), "utf8").endsWith("\n"));
    expect(readFileSync(file("notified"), "utf8")).toBe(`/run/notify --ready --pid=${first.child.pid}\n`);
    const [second, third] = [begin(manifest), begin(["--nonsense=1"])];
    mkdirSync(file("etcds/member/wal"), { recursive: true });
    writeFileSync(file("etcds/member/wal/0000000000000000-0000000000000000.wal"), "a log of etcd's");
    const fourth = begin([...manifest, `--data-dir=${file("etcds")}`]);
    expect(await second.ended).toBe(1);
    expect(await fourth.ended).toBe(1);
    expect(fourth.log()).toContain("it contains the data of an etcd. Save a snapshot");
    expect(readdirSync(file("etcds/member"))).toEqual(["wal"]);
    expect(await third.ended).toBe(1);
    expect(third.log()).toContain("--nonsense is not a known flag");
    expect(second.log()).toMatch(/"level":"fatal".*(in use|another process)/);
    first.child.kill("SIGTERM");
    expect(await first.ended).toBe(0);
    // Settings that only count at the first start may have changed since: the member keeps its identity.
    const again = begin([...manifest, "--initial-cluster=m9=https://127.0.0.1:1", "--initial-cluster-token=other"]);
    await ready(again);
    expect(memberIdIn(again)).toBe(memberIdIn(first));
    again.child.kill("SIGTERM");
    expect(await again.ended).toBe(0);
  });

  it("runs the same from variables, with HTTP on a port of its own and certificates that it generates", async () => {
    const [client, peer, http] = ports;
    const running = begin([], {
      ETCD_NAME: "m1",
      ETCD_DATA_DIR: file("from-variables"),
      ETCD_LISTEN_CLIENT_URLS: `https://${host}:${client},unix://${file("etcd.sock")}`,
      ETCD_LISTEN_CLIENT_HTTP_URLS: `https://${host}:${http}`,
      ETCD_ADVERTISE_CLIENT_URLS: `https://${host}:${client}`,
      ETCD_LISTEN_PEER_URLS: `https://${host}:${peer}`,
      ETCD_INITIAL_ADVERTISE_PEER_URLS: `https://${host}:${peer}`,
      ETCD_INITIAL_CLUSTER: `m1=https://${host}:${peer}`,
      ETCD_AUTO_TLS: "true",
      ETCD_PEER_AUTO_TLS: "true",
      ETCD_UNSAFE_NO_FSYNC: "true",
      ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK: "true",
    });
    await ready(running);
    const ca = readFileSync(file("from-variables/fixtures/client/cert.pem"));
    expect(await askHttps(http!, { ca })).toBe(200);
    expect(await askHttps(client!, { ca, ALPNProtocols: ["http/1.1"] })).toBe("refused");
    const socket = `unix://${file("etcd.sock")}`;
    const put = spawnSync("etcdctl", [`--endpoints=${socket}`, "put", "a", "b"], { encoding: "utf8" });
    if (put.error === undefined) expect(put.stdout).toBe("OK\n");
    expect(await askHttps(0, { socketPath: file("etcd.sock") }), "TLS where there is none").toBe("refused");
    expect(running.log()).toContain("ETCD_UNSAFE_NO_FSYNC has no effect");
    running.child.kill("SIGTERM");
    expect(await running.ended).toBe(0);
  });
});
