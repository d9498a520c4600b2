/**
 * Kubernetes on hosts. A kubeadm of the test's own, which keeps a record of what it is asked for, drives the bootstrap: its
 * order, and kills. A real kubeadm and real API servers use the members through the load balancer. No kubelet runs.
 */
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { findKubeadm } from "../support/kubeadm.ts";
import { ClusterOnHosts, contentsOf, type HostsSpec, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

/** Takes three seconds for `init` and `join`, and makes the files that show that kubeadm was there. */
const recordingKubeadm = `#!/bin/sh
echo "$(date +%s%N) $(hostname) $*" >> /root/kubeadm.log
config=$(echo "$*" | sed -n 's/.*--config \\([^ ]*\\).*/\\1/p')
[ -z "$config" ] || cat "$config" >> /root/configs.yaml
case "$1 $2" in
"init --config")
  [ ! -e /etc/kubernetes/admin.conf ] || { echo "[ERROR FileAvailable] /etc/kubernetes/admin.conf exists" >&2; exit 1; }
  touch /etc/kubernetes/kubelet.conf
  sleep 3
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=kubernetes -keyout /etc/kubernetes/pki/ca.key -out /etc/kubernetes/pki/ca.crt 2>/dev/null
  touch /etc/kubernetes/admin.conf ;;
"join --config") touch /etc/kubernetes/kubelet.conf; [ ! -e /root/fails ] || { rm /root/fails /etc/kubernetes/kubelet.conf; echo "error execution phase preflight" >&2; exit 1; }; sleep 3 ;;
"reset ") rm -rf /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /etc/kubernetes/pki ;;
esac
`;
/** Ready and registered from the second question on. */
const recordingKubectl = `#!/bin/sh
echo "$(date +%s%N) $(hostname) kubectl $*" >> /root/kubeadm.log
[ -e /root/asked ] || { touch /root/asked; echo "connection refused" >&2; exit 1; }
echo ok
`;

describeHosts("Kubernetes on hosts", () => {
  let set: HostSet;
  let hosts: Record<`h${1 | 2 | 3 | 4 | 5}`, TestHost>;
  let cluster: ClusterOnHosts | undefined;

  beforeAll(async () => {
    set = await bringUp(5, "complete");
    hosts = Object.fromEntries(set.hosts.map((host) => [host.name, host])) as typeof hosts;
  }, 900_000);
  afterEach(async () => {
    await cluster?.teardown();
    cluster = undefined;
  }, 120_000);
  afterAll(async () => {
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 60_000);

  const spec = (kubernetes: string): HostsSpec => ({
    name: "kube",
    engine: "agent",
    masters: [
      ["m1", hosts.h1],
      ["m2", hosts.h2],
      ["m3", hosts.h3],
    ],
    workers: [["w1", hosts.h4]],
    balancer: hosts.h5,
    balancerType: "haproxy",
    // The hosts' addresses are in the default subnet of services.
    kubernetes: `version: 1.35.4, serviceSubnet: 10.200.0.0/16${kubernetes}`,
  });
  const on = (host: TestHost, script: string): Promise<string> => runOnTestHost(set, host, script);
  const nodes = (): readonly TestHost[] => [hosts.h1, hosts.h2, hosts.h3, hosts.h4];

  /** What kubeadm was asked for on all hosts, in its order: `m1 init`. */
  async function history(): Promise<readonly string[]> {
    const names = new Map([hosts.h1, hosts.h2, hosts.h3].map(({ name }, at) => [name, `m${at + 1}`]));
    const lines = await Promise.all(
      nodes().map(async ({ name }) =>
        (await on(set.hosts.find((each) => each.name === name)!, "cat /root/kubeadm.log 2>/dev/null"))
          .split("\n")
          .filter((line) => line !== "" && !line.includes("kubectl"))
          .map((line) => ({
            at: line.split(" ")[0]!,
            text: `${names.get(name) ?? "w1"} ${line.split(" ").slice(2).join(" ")}`,
          })),
      ),
    );
    return lines
      .flat()
      .sort((a, b) => (a.at < b.at ? -1 : 1))
      .map(({ text }) => text.replace(/ --config.*| --kubeconfig.*| --upload.*/, ""));
  }

  it("are made nodes in order, once each, although haplan is killed in the middle of kubeadm init", async () => {
    for (const host of nodes()) {
      const install = (name: string, text: string): string =>
        `cat > /usr/local/bin/${name} <<'EOF'\n${text}EOF\nchmod +x /usr/local/bin/${name}\n`;
      await on(host, install("kubeadm", recordingKubeadm) + install("kubectl", recordingKubectl));
    }
    const before = await Promise.all(nodes().map((host) => contentsOf(set, host)));
    cluster = new ClusterOnHosts(set, spec(", bootstrap: true"));
    const killed = cluster.start(["apply", "-auto-approve"], { timeoutMs: 300_000 });
    await expect
      .poll(() => on(hosts.h1, "grep -c init /root/kubeadm.log"), { timeout: 240_000, interval: 200 })
      .toBe("1");
    killed.signal("SIGKILL");
    await killed.end;
    await on(hosts.h3, "touch /root/fails");
    const failed = await cluster.try("apply", "-auto-approve");
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toMatch(/kubeadm failed on m3[\s\S]*error execution phase preflight/);
    const output = await cluster.run("apply", "-auto-approve");
    expect(output).toContain("Apply complete!");
    expect(await history()).toEqual([
      "m1 init",
      ...["m1 token create", "m1 init phase upload-certs", "m2 join"],
      ...["m1 token create", "m1 init phase upload-certs", "m3 join"],
      ...["m1 token create", "m1 init phase upload-certs", "m3 join"],
      ...["m1 token create", "w1 join"],
    ]);
    expect(await cluster.run("plan")).toContain("No changes.");
    await noSecretIsLeft();

    const refused = await cluster.try("destroy", "-auto-approve");
    expect(refused.stdout + refused.stderr).toContain("Kubernetes is on m1, m2, m3, w1");
    for (const host of nodes()) await on(host, "kubeadm reset");
    await cluster.run("destroy", "-auto-approve");
    expect(await Promise.all(nodes().map((host) => contentsOf(set, host)))).toEqual(before);
  }, 900_000);

  /** The tokens and keys that kubeadm was given are in no journal, no file of haplan's, and no state. */
  async function noSecretIsLeft(): Promise<void> {
    const configs = (await Promise.all(nodes().map((host) => on(host, "cat /root/configs.yaml")))).join("\n");
    const secrets = [...configs.matchAll(/(?:token|certificateKey): "?([0-9a-f.]{23,64})"?$/gm)]
      .map(([, secret]) => secret!)
      .filter((secret) => !/^(.)\1+(\.\1+)?$/.test(secret));
    expect(secrets.length).toBeGreaterThanOrEqual(5);
    for (const host of nodes()) {
      const places =
        "(journalctl --no-pager; cat /root/kubeadm.log; cat /proc/[0-9]*/cmdline; grep -rh . /run/haplan-tasks /var/lib/haplan /etc/kubernetes) 2>/dev/null | tr '\\0' ' '";
      const text = await on(host, places);
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
    const kept = await execa("grep", ["-rl", ...secrets.flatMap((secret) => ["-e", secret]), cluster!.directory], {
      reject: false,
    });
    expect(kept.stdout).toBe("");
  }

  const kubeadm = findKubeadm();
  const apiServer = kubeadm === null ? "" : join(kubeadm, "../kube-apiserver");
  const hasApiServer = kubeadm?.startsWith("/") === true && existsSync(apiServer);
  const why = hasApiServer ? "" : " (skipped: no kubeadm with a kube-apiserver beside it)";

  it.skipIf(!hasApiServer)(
    `real API servers serve through the load balancer, with one of them and one member down${why}`,
    async () => {
      cluster = new ClusterOnHosts(set, spec(""));
      await cluster.run("apply", "-auto-approve");
      const masters = [hosts.h1, hosts.h2, hosts.h3];
      for (const { directory } of masters) {
        for (const program of [kubeadm!, apiServer]) await install(directory, program);
      }
      const kube = "kubeadm init phase";
      const config = "--config /etc/kubernetes/kubeadm-config.yaml 2>&1";
      const [first, ...others] = masters as [TestHost, TestHost, TestHost];
      expect(await on(first, `${kube} certs all ${config}`)).toContain(
        "External etcd mode: Skipping apiserver-etcd-client",
      );
      const shared = await on(first, "cd /etc/kubernetes/pki && tar -cz ca.* sa.* front-proxy-ca.* | base64 -w0");
      for (const host of others) {
        await on(host, `echo ${shared} | base64 -d | tar -xz -C /etc/kubernetes/pki; ${kube} certs all ${config}`);
      }
      const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
      const start = `sed -n 's/^    - \\(--.*\\)/\\1/p' ${manifest} > /root/arguments; systemd-run -q --unit=kube-apiserver /bin/sh -c 'exec kube-apiserver $(tr "\\n" " " < /root/arguments)'`;
      for (const host of masters) await on(host, `${kube} control-plane apiserver ${config}; ${start}`);
      await on(first, `${kube} kubeconfig super-admin ${config}`);
      const kubeconfig = await on(first, "cat /etc/kubernetes/super-admin.conf");
      const dataOf = (key: string): string =>
        Buffer.from(new RegExp(`${key}: (.*)`).exec(kubeconfig)?.[1] ?? "", "base64").toString();
      const credentials = {
        ca: dataOf("certificate-authority-data"),
        cert: dataOf("client-certificate-data"),
        key: dataOf("client-key-data"),
      };
      const ask = (method: string, path: string, body = ""): Promise<{ status: number; text: string }> =>
        new Promise((resolve) => {
          const headers = { "content-type": "application/json" };
          const place = { host: hosts.h5.ipv4, port: 6443, method, path, headers };
          const sent = request({ ...place, ...credentials, agent: false, timeout: 5000 }, (response) => {
            let text = "";
            response.on("data", (chunk) => (text += String(chunk)));
            response.on("close", () => resolve({ status: response.statusCode ?? 0, text }));
          });
          sent.on("timeout", () => sent.destroy());
          sent.on("error", (error) => resolve({ status: 0, text: error.message }));
          sent.end(body);
        });
      await expect
        .poll(() => ask("GET", "/readyz"), { timeout: 120_000, interval: 1000 })
        .toEqual({ status: 200, text: "ok" });
      expect((await ask("GET", "/version")).text).toContain("v1.35.4");

      const namespace = (name: string): string =>
        JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
      const write = async (name: string): Promise<number> =>
        (await ask("POST", "/api/v1/namespaces", namespace(name))).status;
      const answers: number[] = [];
      for (let i = 0; i < 40; i++) {
        if (i === 5) await on(hosts.h2, "systemctl stop kube-apiserver");
        if (i === 15) await on(hosts.h3, "systemctl restart haplan-kube-m3-agent");
        answers.push(await write(`n${i}`));
        await sleep(100);
      }
      // A connection to the API server that stops may be cut; those that follow go to others.
      const failed = answers.filter((answer) => answer !== 201);
      console.log(`${answers.length} namespaces created, ${failed.length} of them refused: ${failed.join()}`);
      expect(failed.length).toBeLessThanOrEqual(1);
      expect(await cluster.run("plan")).toContain("No changes.");
      for (const host of masters) await on(host, "systemctl stop kube-apiserver; rm -rf /etc/kubernetes/*.conf");
    },
    900_000,
  );

  /** Into a running host's file tree, which is a directory of this machine. */
  async function install(directory: string, program: string): Promise<void> {
    const name = program.split("/").at(-1)!;
    await copyFile(program, join(directory, "root/usr/local/bin", name));
  }
});
