/** The commands that make the hosts of a spec a Kubernetes cluster, for people who run them by hand. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { joinPlaceholders, kubeadmPaths } from "./kubeadm-config.ts";

/** Commands for one or more hosts, in the order in which they are run. */
export type CommandGroup = {
  readonly hosts: readonly string[];
  /** What they do, as a sentence. */
  readonly purpose: string;
  readonly lines: readonly string[];
};

export function kubeadmCommands(spec: ClusterSpec): readonly CommandGroup[] {
  const [first = "", ...others] = spec.controlPlane.masters.map(({ name }) => name);
  const workers = spec.workers.map(({ name }) => name);
  return [
    {
      hosts: [first],
      purpose: "Creates the cluster, with the members as its etcd.",
      lines: [`kubeadm init --config ${kubeadmPaths.config}`],
    },
    {
      hosts: [first],
      purpose: "Prints what the other hosts need to join: a token, a hash and a key, all secret but the hash.",
      lines: [
        "kubeadm token create --ttl 2h",
        `openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform DER | sha256sum | cut -c -64`,
        `kubeadm init phase upload-certs --upload-certs --config ${kubeadmPaths.config}`,
      ],
    },
    {
      hosts: others,
      purpose: "Join as control planes, one host after the other. In bash; it reads the three values, one a line.",
      lines: [...readConfig, replace(hashPlaceholder, "HASH"), replace(keyPlaceholder, "KEY"), join],
    },
    ...(workers.length === 0
      ? []
      : [
          {
            hosts: workers,
            purpose: "Join as workers. In bash; it reads the token and the hash.",
            lines: [...readConfig.filter((line) => !line.endsWith("KEY")), replace(hashPlaceholder, "HASH"), join],
          },
        ]),
  ];
}

const hashPlaceholder = joinPlaceholders.caCertHashes[0]!.replace("sha256:", "");
const keyPlaceholder = joinPlaceholders.certificateKey;

/** The shell reads them itself: on a command line, every user of the host would see them. */
const readConfig = [
  "read -r TOKEN",
  "read -r HASH",
  "read -r KEY",
  `CONFIG=$(cat ${kubeadmPaths.config})`,
  replace(joinPlaceholders.token, "TOKEN"),
];

function replace(placeholder: string, variable: string): string {
  return `CONFIG=\${CONFIG//${placeholder}/$${variable}}`;
}

const join = "kubeadm join --config <(printf '%s\\n' \"$CONFIG\")";
