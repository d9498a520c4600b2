/**
 * Members that use TLS are taken over. Two etcds with what an operator has: RSA authorities made by openssl, one for
 * clients and another for peers, with their keys; and two agents whose third's certificate is ready, without the key.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { ClusterFixture } from "./cluster-fixture.ts";
import {
  adoptingSpec,
  ExistingPair,
  engines,
  hostOf,
  type PairPlace,
  type PairTls,
  youngPair,
} from "./existing-pair.ts";

/** As people do it by hand: an authority, and certificates for all of a pair's addresses. */
class OpenSsl {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  authority(name: string): void {
    this.#run(
      ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", `/O=Example/CN=${name}`],
      ["-keyout", this.path(`${name}.key`), "-out", this.path(`${name}.crt`)],
    );
  }

  issue(name: string, authority: string, addresses: readonly string[]): void {
    const names = this.path(`${name}.ext`);
    writeFileSync(names, `subjectAltName=${addresses.map((address) => `IP:${address}`).join(",")}\n`);
    this.#run(
      ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`],
      ["-keyout", this.path(`${name}.key`), "-out", this.path(`${name}.csr`)],
    );
    this.#run(
      ["x509", "-req", "-in", this.path(`${name}.csr`), "-days", "30", "-extfile", names, "-CAcreateserial"],
      ["-CA", this.path(`${authority}.crt`), "-CAkey", this.path(`${authority}.key`), "-out", this.path(`${name}.crt`)],
    );
  }

  #run(...args: readonly (readonly string[])[]): void {
    execFileSync("openssl", args.flat(), { stdio: "pipe" });
  }

  /** Flags of a member that shows `member` to clients and `peer` to peers. */
  tls(member: string, authority: string, peer: string, peerAuthority: string): PairTls {
    const flags = (prefix: string, certificate: string, trusted: string): string[] => [
      `--${prefix}cert-file=${this.path(`${certificate}.crt`)}`,
      `--${prefix}key-file=${this.path(`${certificate}.key`)}`,
      `--${prefix}trusted-ca-file=${this.path(`${trusted}.crt`)}`,
      `--${prefix}client-cert-auth=true`,
    ];
    const pem = (name: string): Buffer => readFileSync(this.path(name));
    return {
      flags: [...flags("", member, authority), ...flags("peer-", peer, peerAuthority)],
      client: { ca: pem(`${authority}.crt`), cert: pem("client.crt"), key: pem("client.key") },
    };
  }
}

/** The files that the spec names, relative to the directory where haplan is started. */
const withKeys =
  "{ caFile: ca.crt, certFile: client.crt, keyFile: client.key, caKeyFile: ca.key, peerCaFile: peer-ca.crt, peerCaKeyFile: peer-ca.key }";
const withReady =
  "{ caFile: ca.crt, certFile: client.crt, keyFile: client.key, certificates: [{ name: m3, certFile: third.crt, keyFile: third.key }] }";

function tlsSpec(plain: string, files: string): string {
  return plain
    .replaceAll("http://", "https://")
    .replace("tls: { enabled: false }", "tls: { enabled: true }")
    .replace("    masters:\n", `      tls: ${files}\n    masters:\n`);
}

/** The agents' turn comes when HAPLAN_TEST_EVERYTHING is set. */
const chosen = process.env["HAPLAN_TEST_EVERYTHING"] ? engines : engines.slice(0, 1);

for (const [at, { engine, missing }] of chosen.entries()) {
  describe.skipIf(missing)(
    `two members with TLS (${engine})${missing ? " (skipped: etcd is not installed)" : ""}`,
    () => {
      const place: PairPlace = { network: 31, first: 60 + 20 * at };
      const ready = engine === "agent";
      const plain = adoptingSpec(`tls-${engine}`, engine, place);
      let cluster: ClusterFixture;
      let pair: ExistingPair;
      let tls: PairTls;
      const write = (text: string): void => writeFileSync(join(cluster.directory, "cluster.yaml"), text);

      beforeAll(async () => {
        cluster = new ClusterFixture(tlsSpec(plain, ready ? withReady : withKeys));
        const openssl = new OpenSsl(cluster.directory);
        const old = [hostOf(place, 0), hostOf(place, 1), hostOf(place, 9), "127.0.0.1"];
        openssl.authority("ca");
        openssl.issue("client", "ca", ["127.0.0.1"]);
        openssl.issue("old", "ca", old);
        if (ready) openssl.issue("third", "ca", [hostOf(place, 2), hostOf(place, 9), "127.0.0.1"]);
        else {
          openssl.authority("peer-ca");
          openssl.issue("old-peer", "peer-ca", old);
        }
        tls = ready ? openssl.tls("old", "ca", "old", "ca") : openssl.tls("old", "ca", "old-peer", "peer-ca");
        if (ready) rmSync(join(cluster.directory, "ca.key"));
        pair = await ExistingPair.start(engine, place, cluster.directory, { ...youngPair, tls });
      }, 30_000);

      afterAll(async () => {
        await cluster?.teardown();
        await pair?.stop();
      });

      it("are refused before anything is touched when the files do not fit", async () => {
        const wrong: readonly (readonly [string, RegExp])[] = ready
          ? [["keyFile: third.key", /client.key is not the key of third.crt/]]
          : [["caKeyFile: ca.key", /client.key is not the key of ca.crt/]];
        for (const [line, said] of wrong) {
          write(tlsSpec(plain, (ready ? withReady : withKeys).replace(line, line.replace(/: .*/, ": client.key"))));
          const { code, stderr } = await cluster.haplan(["plan"]);
          expect({ code, stderr: stderr.replaceAll(/\s*\n[│\s]*/g, " ") }).toMatchObject({
            code: 1,
            stderr: expect.stringMatching(said),
          });
        }
        write(tlsSpec(plain, ready ? withReady : withKeys));
      });

      it("become three, and every member and the load balancer take the same clients", async () => {
        const { code, stdout, stderr } = await cluster.haplan(["apply", "-auto-approve"]);
        expect({ code, stderr }).toMatchObject({ code: 0 });
        expect(stdout).toMatch(/Apply complete! Resources: 2 imported, \d+ added, 0 changed, 0 destroyed/);
        await using grpc = connect({ endpoints: [`https://${hostOf(place, 9)}:2379`], tls: tls.client });
        const { members } = await new EtcdClient(grpc).cluster.memberList();
        expect(members.map(({ name }) => name).sort()).toEqual(["m3", "old-1", "old-2"]);
        expect(members.every(({ learner }) => !learner)).toBe(true);
        await using third = connect({ endpoints: [`https://${hostOf(place, 2)}:2379`], tls: tls.client });
        await new EtcdClient(third).put("/through-the-third", "haplan");
        expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
        const { members: seen } = await cluster.status();
        expect(seen.filter(({ healthy }) => healthy)).toHaveLength(3);
      }, 40_000);

      it("keep their keys to themselves: none is in the state or in a plan, nor is an authority's key copied", async () => {
        await cluster.haplan(["plan", "-destroy", "-out=destroy.plan"]);
        const kept = [`.haplan/${cluster.name}/state.json`, "destroy.plan"];
        for (const file of kept)
          expect(readFileSync(join(cluster.directory, file), "utf8")).not.toContain("PRIVATE KEY");
        const pki = join(cluster.directory, ".haplan", cluster.name, "pki");
        const issued = ready
          ? []
          : readdirSync(pki)
              .filter((file) => file.endsWith(".key"))
              .sort();
        expect(issued).toEqual(ready ? [] : ["load-balancer.key", "m3.key", "m3.peer.key"]);
      });

      it("are two again after destroy, and their files are as they were", async () => {
        expect((await cluster.haplan(["destroy", "-auto-approve"])).code).toBe(0);
        await using grpc = connect({ endpoints: [pair.endpoint(0)], tls: tls.client });
        expect((await new EtcdClient(grpc).cluster.memberList()).members.map(({ name }) => name).sort()).toEqual([
          "old-1",
          "old-2",
        ]);
        expect(readFileSync(join(cluster.directory, "client.key"), "utf8")).toContain("PRIVATE KEY");
      });
    },
  );
}
