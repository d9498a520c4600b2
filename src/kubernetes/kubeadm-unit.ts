/** kubeadm's configuration as a unit of which nothing runs: its files, and their copies where kubeadm looks for them. */
import type { ClusterSpec, KubernetesSpec } from "../spec/cluster-spec.ts";
import { blueprintDigest, type UnitBlueprint } from "../units/unit-blueprint.ts";
import { kubeadmUnitName, tlsPaths } from "../units/unit-definition.ts";
import { kubeadmConfig, kubeadmPaths } from "./kubeadm-config.ts";

/**
 * The common name that kubeadm documents for the API servers' certificate for etcd, and the name of the certificate. All
 * masters have the same one: kubeadm copies that of the first control plane to each that joins.
 */
export const etcdClientName = "kube-apiserver-etcd-client";

/** The task that makes a host a node. */
export const nodeTask = "node";

/** Programs that bootstrapping needs on each host. */
const bootstrapPrograms = ["kubeadm", "kubectl"];

const configFile = "kubeadm-config.yaml";

/** Files that kubeadm makes: while they exist, the host is a node. */
const nodeFiles = ["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/admin.conf"];

export function kubeadmBlueprint(spec: ClusterSpec, kubernetes: KubernetesSpec, name: string): UnitBlueprint {
  const isMaster = spec.controlPlane.masters.some((master) => master.name === name);
  const usesTls = isMaster && spec.controlPlane.tls.enabled;
  const config = { path: configFile, content: kubeadmConfig(spec, kubernetes, name), mode: 0o600 };
  return {
    definition: {
      name: kubeadmUnitName,
      program: { kind: "none" },
      arguments: [],
      environment: {},
      files: [config],
      listens: [],
      copies: [{ file: configFile, to: kubeadmPaths.config }, ...(usesTls ? certificateCopies : [])],
      watches: nodeFiles,
      ...(kubernetes.bootstrap ? { needs: bootstrapPrograms } : {}),
    },
    templates: [],
    certificate: usesTls ? etcdClientName : null,
  };
}

const certificateCopies = [
  { file: tlsPaths.authority, to: kubeadmPaths.etcdCa },
  { file: tlsPaths.certificate, to: kubeadmPaths.etcdCertificate },
  { file: tlsPaths.key, to: kubeadmPaths.etcdKey },
];

export function kubeadmConfigDigest(spec: ClusterSpec, kubernetes: KubernetesSpec, name: string): string {
  return blueprintDigest(kubeadmBlueprint(spec, kubernetes, name));
}
