/** The commands of kubeadm and kubectl that bootstrapping runs on the hosts. Secrets are in files, never in arguments. */
import type { ClusterSpec, KubernetesSpec } from "../spec/cluster-spec.ts";
import { hostPort } from "../units/addresses.ts";
import { type HostTask, taskDirPlaceholder } from "../units/host-task.ts";
import { apiEndpoint, type JoinSecrets, kubeadmConfig, kubeadmPaths, uploadConfig } from "./kubeadm-config.ts";
import { nodeTask } from "./kubeadm-unit.ts";

const adminConfig = "/etc/kubernetes/admin.conf";
const kubeletConfig = "/etc/kubernetes/kubelet.conf";
const configFile = "config.yaml";
const configPath = `${taskDirPlaceholder}/${configFile}`;

/** Creates the cluster. Tokens are created when a host joins, so the one that kubeadm makes is not printed. */
export function initTask(): HostTask {
  const given = ["init", "--config", kubeadmPaths.config, "--skip-token-print", "--skip-phases=show-join-command"];
  return { name: nodeTask, command: "kubeadm", arguments: given, files: [], doneWhile: kubeletConfig };
}

export function joinTask(spec: ClusterSpec, kubernetes: KubernetesSpec, host: string, secrets: JoinSecrets): HostTask {
  const content = kubeadmConfig(spec, kubernetes, host, secrets);
  return {
    name: nodeTask,
    command: "kubeadm",
    arguments: ["join", "--config", configPath],
    files: [{ path: configFile, content, mode: 0o600 }],
    doneWhile: kubeletConfig,
  };
}

/** Make a control plane accept a host that joins; those for workers are the first alone. */
export function admitTasks(
  spec: ClusterSpec,
  kubernetes: KubernetesSpec,
  via: string,
  secrets: JoinSecrets,
): { readonly token: HostTask; readonly certificates: HostTask } {
  const files = [{ path: configFile, content: uploadConfig(spec, kubernetes, via, secrets), mode: 0o600 }];
  const kubeadm = (name: string, given: readonly string[]): HostTask => ({
    name,
    command: "kubeadm",
    arguments: [...given, "--config", configPath],
    files,
  });
  return {
    token: kubeadm("token", ["token", "create", "--kubeconfig", adminConfig]),
    certificates: kubeadm("certificates", [
      ...["init", "phase", "upload-certs", "--upload-certs", "--skip-certificate-key-print"],
    ]),
  };
}

/** Prints the certificate of Kubernetes' authority. */
export const authorityTask: HostTask = {
  name: "authority",
  command: "cat",
  arguments: ["/etc/kubernetes/pki/ca.crt"],
  files: [],
};

/** Succeeds once the API server at `hostPort` is ready, as the node sees it: with its certificate, and Kubernetes' authority. */
function readyTask(name: string, server: string): HostTask {
  const given = ["--kubeconfig", kubeletConfig, "--server", `https://${server}`, "--request-timeout=10s"];
  return { name, command: "kubectl", arguments: [...given, "get", "--raw", "/readyz"], files: [] };
}

/** What has to hold before the next host joins, each with what is waited for. */
export function gateTasks(
  spec: ClusterSpec,
  kubernetes: KubernetesSpec,
  host: string,
): readonly { readonly task: HostTask; readonly awaits: string }[] {
  const master = spec.controlPlane.masters.find(({ name }) => name === host);
  const own = master === undefined ? null : hostPort(master.address, kubernetes.apiServerPort);
  const endpoint = apiEndpoint(spec, kubernetes);
  const node = ["--kubeconfig", kubeletConfig, "--request-timeout=10s", "get", "node", host, "-o", "name"];
  return [
    ...(own === null ? [] : [{ task: readyTask("own-ready", own), awaits: `the API server at ${own} to be ready` }]),
    { task: readyTask("endpoint-ready", endpoint), awaits: `an API server through the load balancer at ${endpoint}` },
    {
      task: { name: "registered", command: "kubectl", arguments: node, files: [] },
      awaits: `node ${host} to be registered`,
    },
  ];
}
