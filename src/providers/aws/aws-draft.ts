/** A new spec for EC2: what haplan cannot know of an account is written with comments, to be replaced. */
import { HaplanError } from "../../base/haplan-error.ts";
import { yamlValue } from "../../spec/yaml-value.ts";
import type { DraftHost, DraftProvider, DraftRequest } from "../spec-draft.ts";
import { type HostArgument, parseHosts } from "../ssh/host-argument.ts";

/** Those of examples/aws-3-masters.yaml. */
const exampleAddresses = "10.0.1.10,10.0.2.10,10.0.3.10";

export const draftAws: DraftProvider = async (request) => {
  if (request.provider !== "aws") return null;
  if (request.loadBalancer !== null || request.vip !== null) {
    const advice = "haplan creates an internal network load balancer, whose address AWS chooses: omit them.";
    throw new HaplanError("init/load-balancers", `-load-balancer and -vip are for hosts\n${advice}`);
  }
  const { members } = request;
  const hosts = parseHosts("-hosts", request.hosts ?? exampleAddresses);
  const workers = request.workers === null ? [] : parseHosts("-workers", request.workers);
  const machines = {
    provider: providerLines(hosts[0]?.user ?? null, request.reach),
    masters: [...members, ...drafted(hosts, "m", new Set(members.map(({ name }) => name)))],
    workers: drafted(workers, "w", new Set()),
    loadBalancer: null,
    nextCommand: "check" as const,
    workerExample: "10.0.1.20",
  };
  request.check(machines);
  return machines;
};

function drafted(hosts: readonly HostArgument[], prefix: string, taken: ReadonlySet<string>): readonly DraftHost[] {
  const free = Array.from({ length: hosts.length + taken.size }, (_, at) => `${prefix}${at + 1}`).filter(
    (name) => !taken.has(name),
  );
  return hosts.map(({ host }, at) => ({ name: free[at]!, address: host, ssh: {}, note: "" }));
}

function providerLines(user: string | null, { identityFile, jump, options }: DraftRequest["reach"]): readonly string[] {
  return [
    "type: aws # machines are EC2 instances behind a network load balancer; haplan creates both. See docs/aws.md of haplan",
    "region: eu-central-1 # yours",
    "vpc: tag:Name=control-plane # one that exists: its id, or a filter; each machine is in the subnet that has its address",
    "allowFrom: [10.0.0.0/8] # where haplan and operators are: ssh and the client port are open to them, and to no one else",
    "keyName: operators # a key pair that exists, whose private key ssh offers",
    identityFile === null
      ? "# identityFile: ~/.ssh/operators # that key; by default the keys of ssh's own configuration and agent"
      : `identityFile: ${yamlValue(identityFile)}`,
    jump === null
      ? "# jump: bastion.example.com # or sessionManager: true, if haplan is not in the VPC"
      : `jump: ${yamlValue(jump)}`,
    ...(options.length === 0 ? [] : [`sshOptions: ${yamlValue([...options])}`]),
    user === null
      ? "# user: admin # the user of the image; that of Debian's images is admin"
      : `user: ${yamlValue(user)}`,
    "instanceType: m7i.large",
    "volume: { sizeGiB: 20 } # of the data of each master: encrypted, and kept when its instance is lost",
  ];
}
