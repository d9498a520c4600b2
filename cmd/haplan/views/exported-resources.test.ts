/** A plan for AWS in Terraform's JSON: its objects have the types and attributes of Terraform's AWS provider. */
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { planChanges } from "../../../src/plan/planner.ts";
import { providerModel } from "../../../src/providers/registry.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import { emptyObservation, fixtureInput } from "../../../test/support/planned-cluster.ts";
import { planToJson } from "./plan-json.ts";

const example = readFileSync(new URL("../../../examples/aws-3-masters.yaml", import.meta.url), "utf8");
const schema = JSON.parse(
  readFileSync(new URL("testdata/terraform-plan.schema.json", import.meta.url), "utf8"),
) as object;

type Document = {
  readonly planned_values: { readonly root_module: { readonly resources: readonly { readonly address: string }[] } };
  readonly resource_changes: readonly {
    readonly address: string;
    readonly provider_name: string;
    readonly change: { readonly actions: readonly string[]; readonly after: object; readonly after_unknown: object };
  }[];
  readonly configuration: {
    readonly provider_config: object;
    readonly root_module: { readonly resources: readonly { address: string }[] };
  };
};

function documentOf(text: string): Document {
  const { spec } = specReader.parse("cloud.yaml", text);
  const { plan } = planChanges({
    ...fixtureInput(spec!, { state: null, observed: { ...emptyObservation, loadBalancer: null } }),
    provider: providerModel(spec!.provider),
  });
  return JSON.parse(JSON.stringify(planToJson(plan!))) as Document;
}

describe("the JSON of a plan for AWS", () => {
  const document = documentOf(example);
  const own = document.resource_changes.filter(({ provider_name }) => provider_name.endsWith("hashicorp/aws"));
  const changeOf = (address: string): Document["resource_changes"][number]["change"] =>
    own.find((each) => each.address === address)!.change;

  it("has its objects under Terraform's types", () => {
    const addresses = own.map(({ address }) => address).toSorted();
    expect(addresses).toEqual([
      "aws_ebs_volume.m1",
      "aws_ebs_volume.m2",
      "aws_ebs_volume.m3",
      "aws_instance.m1",
      "aws_instance.m2",
      "aws_instance.m3",
      "aws_instance.w1",
      "aws_instance.w2",
      "aws_lb.load-balancer",
      "aws_lb_listener.load-balancer-2379",
      "aws_lb_target_group.load-balancer",
      "aws_security_group.load-balancer",
      "aws_security_group.masters",
      "aws_security_group.workers",
    ]);
    const planned = document.planned_values.root_module.resources.map(({ address }) => address);
    expect(planned).toEqual(expect.arrayContaining(addresses));
    const configured = document.configuration.root_module.resources.map(({ address }) => address);
    expect(configured).toEqual(expect.arrayContaining(addresses));
    expect(document.configuration.provider_config).toMatchObject({
      aws: { expressions: { region: { constant_value: "eu-central-1" } } },
    });
  });

  it("has Terraform's attributes, and marks what is known after apply", () => {
    expect(changeOf("aws_instance.m1")).toMatchObject({
      actions: ["create"],
      after: {
        instance_type: "m7i.large",
        private_ip: "10.0.1.10",
        availability_zone: "eu-central-1a",
        metadata_options: [{ http_tokens: "required" }],
        tags: { Team: "platform", "haplan:cluster": "cloud" },
      },
      after_unknown: { id: true, ami: true, subnet_id: true },
    });
    expect(changeOf("aws_ebs_volume.m1").after).toMatchObject({ type: "gp3", size: 20, iops: 3000, encrypted: true });
    expect(changeOf("aws_lb.load-balancer")).toMatchObject({
      after: { internal: true, load_balancer_type: "network" },
      after_unknown: { dns_name: true },
    });
    expect(changeOf("aws_security_group.masters").after).toMatchObject({
      ingress: expect.arrayContaining([
        expect.objectContaining({ from_port: 2380, security_groups: ["haplan-cloud-masters"], cidr_blocks: [] }),
      ]),
    });
  });

  it("fits Terraform's format", () => {
    const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: false }).compile(schema);
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  });
});
