/** What haplan installed on hosts is changed or removed by hand: plans show it, apply repairs it, destroy still leaves nothing. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ClusterOnHosts, contentsOf, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

const unit = (member: string): string => `haplan-damaged-${member}-agent.service`;
const bootLink = `/etc/systemd/system/multi-user.target.wants/${unit("m2")}`;
const certificate = "/var/lib/haplan/damaged/machines/m3/units/agent/files/tls/tls.crt";
const data = "/var/lib/haplan/damaged/machines/m3/data";
const fileOf = (member: string): string => `/etc/systemd/system/${unit(member)}`;

describeHosts("damaged hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;
  let spec: HostsSpec;
  let before: readonly string[];

  const host = (number: number): TestHost => set.hosts[number - 1]!;
  const contents = (): Promise<readonly string[]> => Promise.all(set.hosts.map((each) => contentsOf(set, each)));
  const planCode = async (): Promise<number | null> => (await cluster.try("plan", "-detailed-exitcode")).code;
  const pidOf = (number: number): Promise<string> =>
    cluster.on(host(number), `systemctl show --value -p MainPID ${unit(`m${number}`)}`);

  beforeAll(async () => {
    await takeDown();
    set = await bringUp(5, "complete");
    spec = {
      name: "damaged",
      engine: "agent",
      masters: [1, 2, 3].map((number) => [`m${number}`, host(number)] as const),
      balancer: host(4),
      balancerType: "embedded",
    };
    cluster = new ClusterOnHosts(set, spec);
    // A file system of its own for the data, as it comes from mkfs.ext4.
    await cluster.on(host(3), "mkdir -p /var/lib/haplan && mount -t tmpfs -o size=600m,mode=755 none /var/lib/haplan");
    await cluster.on(host(3), "mkdir -m 700 /var/lib/haplan/lost+found");
    // A link to another disk, and a directory that has a file of the operator.
    await cluster.on(host(2), "mkdir -m 755 /srv/data && ln -s /srv/data /var/lib/haplan");
    await cluster.on(host(1), "mkdir -m 755 /var/lib/haplan && touch /var/lib/haplan/notes");
    before = await contents();
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    await takeDown();
  }, 120_000);

  it("M2: are left as they were by destroy after an apply that was killed in its first upload", async () => {
    // Another host of the spec that was given up.
    const given = [
      ["m1", host(1)],
      ["m2", host(5)],
      ["m3", host(3)],
    ] as const;
    cluster.write({ ...spec, masters: given });
    const apply = cluster.start(["apply", "-auto-approve"]);
    await cluster.on(host(5), "until ls /opt/haplan/*.part 2>/dev/null; do sleep 0.02; done");
    apply.signal("SIGKILL");
    await apply.end;
    expect(await cluster.on(host(5), "ls -A /opt/haplan")).toContain(".part");
    cluster.write(spec);
    await cluster.run("destroy", "-auto-approve");
    expect(await contents()).toEqual(before);
  }, 300_000);

  it("run a cluster", async () => {
    await cluster.run("apply", "-auto-approve");
    expect(await planCode()).toBe(0);
  }, 300_000);

  it.each([
    [
      "a line of its unit file",
      1,
      `sed -i s/^OOMScoreAdjust=.*/OOMScoreAdjust=0/ ${fileOf("m1")}; systemctl daemon-reload`,
      fileOf("m1"),
      true,
    ],
    ["that it starts when the host boots", 2, `systemctl disable -q ${unit("m2")}`, bootLink, true],
    ["its unit file as a whole", 3, `rm ${fileOf("m3")}; systemctl daemon-reload`, fileOf("m3"), true],
    [
      "its command, restarted with it",
      1,
      `sed -i s/--election-timeout=[0-9]*/--election-timeout=5000/ ${fileOf("m1")}; systemctl daemon-reload; systemctl restart ${unit("m1")}`,
      fileOf("m1"),
      false,
    ],
    ["the owner of its data", 3, `chown -R root:root ${data}/member`, `${data}/member`, true],
    ["a file of its certificate", 3, `echo >> ${certificate}`, certificate, true],
  ])(
    "show in a plan what a member has lost, and get it back: %s",
    async (_, number, damage, file, keepsProcess) => {
      expect(await planCode()).toBe(0);
      await cluster.on(host(number), damage);
      const pid = await pidOf(number);
      const plan = await cluster.try("plan", "-detailed-exitcode");
      expect([plan.code, plan.stdout]).toEqual([2, expect.stringContaining(`changed outside of haplan: ${file}`)]);
      await cluster.run("apply", "-auto-approve");
      expect(await planCode()).toBe(0);
      expect((await pidOf(number)) === pid).toBe(keepsProcess);
      const state = `systemctl is-enabled ${unit(`m${number}`)}; systemctl show --value -p NeedDaemonReload ${unit(`m${number}`)}`;
      expect(await cluster.on(host(number), state)).toBe("enabled\nno");
      expect(
        await cluster.on(
          host(number),
          `tr '\\0' ' ' < /proc/$(systemctl show --value -p MainPID ${unit(`m${number}`)})/cmdline`,
        ),
      ).toContain("--election-timeout=1000");
    },
    300_000,
  );

  it.each([
    // As where another version was installed after `/opt/haplan` was removed.
    ["its version of haplan", "cp -a $own other && ln -sfn other current && rm -rf $own", "$own"],
    ["a file of its programs", "rm $own/cmd/haplan-agent/main.js", "$own/cmd/haplan-agent/main.js"],
    ["its runtime", "cp -a $own other && ln -sfn other current && rm $own/bin/node", "$own/bin/node"],
  ])(
    "B5: show in a plan that a running member has lost %s, and get it back without a restart",
    async (_, damage, missing) => {
      const own = await cluster.on(host(1), `grep -Eo "/opt/haplan/[0-9a-f]{64}" ${fileOf("m1")} | head -n 1`);
      const pid = await pidOf(1);
      await cluster.on(host(1), `cd /opt/haplan; own=$(basename ${own}); ${damage}`);
      const { code, stdout } = await cluster.try("plan", "-detailed-exitcode");
      expect([code, stdout]).toEqual([
        2,
        expect.stringContaining(`changed outside of haplan: ${missing.replace("$own", own)}`),
      ]);
      await cluster.run("apply", "-auto-approve");
      expect([await planCode(), await pidOf(1)]).toEqual([0, pid]);
      await cluster.on(host(1), `rm -rf /opt/haplan/other; systemctl restart ${unit("m1")}`);
      expect(await planCode()).toBe(0);
    },
    300_000,
  );

  it("keep drop-ins of the operator, which plans tell of", async () => {
    const directory = `${fileOf("m2")}.d`;
    await cluster.on(host(2), `mkdir ${directory}; printf "[Service]\nMemoryMax=900M\n" > ${directory}/limits.conf`);
    // Before systemd has read it, and after.
    for (const reload of ["true", "systemctl daemon-reload"]) {
      await cluster.on(host(2), reload);
      const { code, stdout, stderr } = await cluster.try("plan", "-detailed-exitcode");
      const said = `${stdout}${stderr}`.replaceAll(/[\s│╷╵]+/g, " ");
      expect([code, said.match(/haplan_agent\.m2 has settings of systemd/g)]).toEqual([0, [expect.any(String)]]);
      expect(said).toContain(`${directory}/limits.conf`);
    }
    await cluster.on(host(2), `rm -r ${directory}; systemctl daemon-reload`);
    expect(await cluster.run("plan")).not.toContain("settings of systemd");
  }, 60_000);

  it("are never taken for empty where haplan's programs are gone, and get them back", async () => {
    await cluster.on(host(2), "rm -rf /opt/haplan");
    const plan = await cluster.try("plan", "-detailed-exitcode");
    const said = (plan.stdout + plan.stderr).replaceAll(/[\s│╷╵]+/g, " ");
    expect([plan.code, said]).toEqual([
      2,
      expect.stringMatching(
        /programs are missing on the host of haplan_machine\.m2.* no longer complete in \/opt\/haplan/,
      ),
    ]);
    expect(said).toContain("haplan's programs have to be installed again.");
    const applied = await cluster.try("apply", "-auto-approve");
    expect([applied.code, applied.stderr]).toEqual([0, expect.stringContaining("have been installed again")]);
    await cluster.on(host(2), `systemctl restart ${unit("m2")}`);
    expect(await planCode()).toBe(0);
    for (const file of ["bin/node", "cmd/haplan-host/main.js", "cmd/chunks"]) {
      await cluster.on(host(2), `rm -r /opt/haplan/current/${file}`);
      expect([file, await planCode()]).toEqual([file, 2]);
      await cluster.run("apply", "-auto-approve");
      expect([file, await planCode()]).toEqual([file, 0]);
    }
    expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
  }, 300_000);

  it("are left as they were by destroy, programs or not", async () => {
    await cluster.on(host(1), "rm -rf /opt/haplan");
    await cluster.run("destroy", "-auto-approve");
    expect(await contents()).toEqual(before);
    expect(await cluster.on(host(3), "ls -A /var/lib/haplan")).toBe("lost+found");
  }, 300_000);
});
