import { describe, expect, it } from "vitest";
import { specReader } from "../spec-reader.ts";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5qzC0ZkBvXfD3XbXz0nqk4m5vQe6j9n2o0r1s2t3u4";

type Parts = {
  readonly provider?: string;
  readonly m1?: string;
  readonly more?: string;
  readonly balancer?: string;
};

function specWith({
  provider = "",
  m1 = "address: 10.0.0.1",
  more = "",
  balancer = "address: 10.0.0.9",
}: Parts): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: metal }
spec:
  provider: { type: ssh${provider} }
  controlPlane:
    masters:
      - { name: m1, ${m1} }
      - { name: m2, address: 10.0.0.2 }
      - { name: m3, address: 10.0.0.3 }
    ${more}
  loadBalancer: { ${balancer} }
`;
}

/** Diagnostics as `code line: summary`. */
function found(parts: Parts): readonly string[] {
  const { diagnostics } = specReader.parse("cluster.yaml", specWith(parts));
  return diagnostics.map(({ code, range, summary }) => `${code} ${range?.start.line}: ${summary}`);
}

describe("listeners on one host", () => {
  const table: readonly (readonly [string, Parts, readonly string[]])[] = [
    ["hosts of their own", {}, []],
    [
      "the same host and the default port",
      { balancer: "address: 10.0.0.1" },
      [
        "spec/duplicate-listener 12: The load balancer and the master at spec.controlPlane.masters[0] would both listen on port 2379 of 10.0.0.1",
      ],
    ],
    [
      "the same host and the port for peers",
      { balancer: "address: 10.0.0.1, ports: [2479, 2380]" },
      [
        "spec/duplicate-listener 12: The load balancer and the master at spec.controlPlane.masters[0] would both listen on port 2380 of 10.0.0.1",
      ],
    ],
    ["the same host and another port", { balancer: "address: 10.0.0.1, ports: [2479]" }, []],
    ["another address of the same host", { balancer: "address: 10.0.1.1, ssh: { host: 10.0.0.1 }" }, []],
    [
      "a name of the same host, which listens on all of its addresses",
      { balancer: "address: m1.example.com, ssh: { host: 10.0.0.1 }" },
      [
        "spec/duplicate-listener 12: The load balancer and the master at spec.controlPlane.masters[0] would both listen on port 2379 of 10.0.0.1",
      ],
    ],
    ["names of two hosts", { m1: "address: m1.example.com", balancer: "address: lb.example.com" }, []],
    [
      "ports of the masters that are not the default",
      { more: "clientPort: 4379", balancer: "address: 10.0.0.1, ports: [2379]" },
      [],
    ],
  ];
  it.each(table)("%s", (_, parts, expected) => {
    expect(found(parts)).toEqual(expected);
  });
});

describe("a loopback address", () => {
  const told = (address: string): readonly string[] => [
    `spec/bad-address 8: ${JSON.stringify(address)} leads each host to itself`,
  ];
  it.each(["127.0.0.1", "127.0.1.1", "::1", "localhost"])("is refused of one master of several: %s", (address) => {
    expect(found({ m1: `address: "${address}"` })).toEqual(told(address));
    expect(found({ m1: `address: "${address}", ssh: { host: 10.0.0.1 }` })).toEqual(told(address));
  });

  it("is refused of a host that may take the place of a master", () => {
    const balancer =
      "address: 10.0.0.9 }\n  repair: { replace: { afterMs: 600000, spares: [{ name: s1, address: 127.0.0.1 }] }";
    expect(found({ balancer })).toEqual(['spec/bad-address 13: "127.0.0.1" leads each host to itself']);
  });

  it("can be that of a load balancer", () => {
    expect(found({ balancer: "address: 127.0.0.1" })).toEqual([]);
  });
});

describe("paths that units hide", () => {
  const schedule = (keys: string): Parts => ({
    balancer: `address: 10.0.0.9 }\n  backup: { schedule: { everyMinutes: 60, ${keys} }`,
  });
  const etcd = (binary: string): Parts => ({ more: `engine: etcd\n    etcd: { binary: ${binary}, version: 3.6.14 }` });
  const told = (line: number, path: string, hidden: string): readonly string[] => [
    `spec/hidden-path ${line}: Members do not see ${path}: their units hide ${hidden}`,
  ];
  it.each<[string, Parts, readonly string[]]>([
    ["an etcd below /root", etcd("/root/etcd"), told(12, "/root/etcd", "/root")],
    ["an etcd below /home", etcd("/home/a/etcd"), told(12, "/home/a/etcd", "/home")],
    ["an etcd elsewhere", etcd("/opt/root/etcd"), []],
    ["backups below /tmp", schedule("directory: /tmp/backups"), told(13, "/tmp/backups", "/tmp")],
    ["backups elsewhere", schedule("directory: /var/backups/haplan"), []],
    [
      "credentials below /home",
      schedule("directory: /srv/b, credentialsFile: /home/a/c"),
      ["spec/backup-schedule 13: Members need no credentials for a directory", ...told(13, "/home/a/c", "/home")],
    ],
    ["a key below /root", schedule("directory: /srv/b, keyFile: /root/key"), told(13, "/root/key", "/root")],
  ])("%s", (_, parts, expected) => {
    expect(found(parts)).toEqual(expected);
  });
});

describe("hostKey", () => {
  const bad = "spec/bad-host-key 8: hostKey is not a public key";
  const [type, blob = ""] = key.split(" ");
  const shape = expect.stringMatching(/^spec\/\S+ 8: /);
  const table: readonly (readonly [string, string, readonly unknown[]])[] = [
    ["a key", key, []],
    ["a key of another type than it says", `ssh-rsa ${blob}`, [bad]],
    ["a key that was cut", `${type} ${blob.slice(0, 40)}`, [bad]],
    ["a key with a lost character", `${type} ${blob.slice(0, -1)}`, [bad]],
    ["a fingerprint", "ssh-ed25519 SHA256:abcdef", [shape]],
    ["a key with its comment", `${key} root@m1`, [shape]],
    ["any word", "ssh-x AAAA", [shape]],
  ];
  it.each(table)("%s", (_, written, expected) => {
    expect(found({ m1: `address: 10.0.0.1, ssh: { hostKey: "${written}" }` })).toEqual(expected);
  });
});

describe("sshOptions", () => {
  it.each([
    "StrictHostKeyChecking=no",
    "stricthostkeychecking=no",
    "ControlMaster=auto",
    "User=root",
    "RequestTTY=yes",
  ])("rejects %s, which haplan sets", (option) => {
    const name = option.split("=")[0];
    const expected = [`spec/reserved-ssh-option 5: sshOptions cannot set ${name}`];
    expect(found({ provider: `, sshOptions: ["${option}"]` })).toEqual(expected);
  });

  it.each(["Compression=yes", "ControlPath=/tmp/%C", "UserKnownHostsFile=/etc/known", "constructor=1"])(
    "leaves %s to ssh",
    (option) => {
      expect(found({ provider: `, sshOptions: ["${option}"]` })).toEqual([]);
    },
  );
});

describe("the artifact of a spec", () => {
  const digest = "0123456789abcdef".repeat(4);
  it.each<[string, readonly string[]]>([
    ["{ file: haplan.tar.gz }", []],
    [`{ file: haplan.tar.gz, sha256: ${digest} }`, []],
    [`{ url: "https://example.com/haplan.tar.gz", sha256: ${digest} }`, []],
    ["{ file: a, url: https://example.com/b }", ["spec/artifact 5: An artifact is either a file or a URL"]],
    [`{ sha256: ${digest} }`, ["spec/artifact 5: An artifact is either a file or a URL"]],
    [
      "{ url: https://example.com/haplan.tar.gz }",
      ["spec/artifact 5: An artifact that is downloaded needs its digest"],
    ],
  ])("%s gives %j", (artifact, expected) => {
    expect(found({ provider: `, artifact: ${artifact}` })).toEqual(expected);
  });

  it("has a digest of 64 hexadecimal digits, and is not a text", () => {
    expect(found({ provider: ", artifact: { file: a, sha256: abc }" })).toHaveLength(1);
    expect(found({ provider: ", artifact: haplan.tar.gz" })).toHaveLength(1);
  });
});
