/** What is derived from the spec's declaration and committed: `npm run docs:spec` writes it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { providerSchemas } from "../../src/providers/registry.ts";
import { renderEditorSchema } from "../../src/spec/cluster-schema.ts";
import { clusterShapes } from "../../src/spec/declaration/cluster.ts";
import { shapesFor } from "../../src/spec/provider-shapes.ts";
import { membersMax, membersMin } from "../../src/spec/quorum-table.ts";
import { toJsonSchema } from "../../src/spec/schema/json-schema.ts";
import { type Keys, resolveShape, type Shapes } from "../../src/spec/schema/shape.ts";
import { fakeCloudSchema } from "../providers/fake-cloud-schema.ts";
import { sampleOf, withReference } from "../support/spec-reference.ts";
import { root } from "./imports.ts";

const providers = providerSchemas;
const page = join(root, "docs/spec.md");

describe("the files that follow from the spec's declaration", () => {
  it("include docs/spec.md, which is up to date", async () => {
    await expect(withReference(readFileSync(page, "utf8"), providers)).toMatchFileSnapshot(page);
  });

  it("include schema/cluster.schema.json, which is up to date", async () => {
    await expect(renderEditorSchema(providers)).toMatchFileSnapshot(join(root, "schema/cluster.schema.json"));
  });
});

/** Every key of every mapping that `shapes` has, and its path. */
function keysOf(shapes: Shapes): readonly { readonly path: string; readonly shape: Keys[string] }[] {
  return Object.entries(shapes).flatMap(([name, mapping]) =>
    mapping.type === "object"
      ? Object.entries(mapping.keys).map(([key, shape]) => ({ path: `${name}.${key}`, shape }))
      : [],
  );
}

describe("the declaration of the spec", () => {
  const all = [...providers, fakeCloudSchema];

  it.each(all)("has examples and defaults that fit what it says, with the provider $type", (provider) => {
    const shapes = shapesFor(provider, all);
    const found = keysOf(shapes);
    expect(found.length).toBeGreaterThan(60);
    for (const { path, shape } of found) {
      const { default: fallback } = resolveShape(shape, shapes);
      // Strict, so that a keyword that JSON Schema does not have is an error.
      const properties = { key: toJsonSchema(shape, shapes, "check") };
      const validate = new Ajv({ strict: true, useDefaults: true }).compile({ type: "object", properties });
      for (const value of [sampleOf(shape, shapes), ...(fallback === undefined ? [] : [fallback])]) {
        expect(validate({ key: structuredClone(value) }), `${path}: ${JSON.stringify(value)}`).toBe(true);
      }
    }
  });

  it.each(all)("leaves nothing open for the provider $type", (provider) => {
    const open = keysOf(shapesFor(provider, all)).filter(({ shape }) => shape.filledBy !== undefined);
    expect(open.map(({ path }) => path)).toEqual([]);
  });

  it("allows the numbers of members that haplan runs", () => {
    const { members, zones } = clusterShapes.controlPlane.keys;
    expect(members.enum).toEqual([membersMin, 5, membersMax]);
    const { endpoints } = clusterShapes.adopt.keys;
    const lists = [zones, endpoints, clusterShapes.adoptedTls.keys.certificates];
    expect(lists.map(({ maxItems }) => maxItems)).toEqual(lists.map(() => membersMax));
  });
});

describe("docs/spec.md", () => {
  it("has what each provider adds", () => {
    const text = withReference(readFileSync(page, "utf8"), [...providers, fakeCloudSchema]);
    expect(text).toContain("### `local`");
    expect(text).toContain("### `fakecloud`\n\nfakecloud: each machine is rented.");
    expect(text).toContain("| `disk.sizeGiB` | integer, 1 to 1024 | `20` | `20` | Its size in GiB. |");
    expect(text).toContain("| `region` | `north` or `south` | **required** | `south` | The region, north or south. |");
    expect(text).toContain("| `retries` | integer, 0 to 9 | `4` | `4` | Attempts after a failed call. |");
    expect(text).toContain("- `spec.loadBalancer.address`: required, unless there are `hosts`\n");
  });

  it("links to sections that are there", () => {
    const text = readFileSync(page, "utf8");
    const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
    const links = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor!);
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((link) => !titles.includes(link))).toEqual([]);
  });
});
