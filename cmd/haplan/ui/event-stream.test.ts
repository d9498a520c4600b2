import { describe, expect, it } from "vitest";
import { EventStream, type StreamResponse } from "./event-stream.ts";

/** A reader of which `unread` bytes are still to be sent. */
function createReader(): { response: StreamResponse; text: () => string; unread: number; destroyed: boolean } {
  let text = "";
  const reader = { text: () => text, unread: 0, destroyed: false, response: null as unknown as StreamResponse };
  reader.response = {
    write: (chunk: string) => {
      text += chunk;
      return true;
    },
    destroy: () => {
      reader.destroyed = true;
    },
    get writableLength() {
      return reader.unread;
    },
    on: () => reader.response,
  } as unknown as StreamResponse;
  return reader;
}

describe("the stream of events", () => {
  it("begins with the present state, and has one line of data for each event", () => {
    const stream = new EventStream(() => [["hello", { cluster: "demo" }]]);
    const reader = createReader();
    expect(stream.add(reader.response)).toBe(true);
    stream.send("status", { text: "two\nlines" });
    expect(reader.text()).toBe(
      'retry: 1000\n\nevent: hello\ndata: {"cluster":"demo"}\n\nevent: status\ndata: {"text":"two\\nlines"}\n\n',
    );
    stream.close();
    expect(reader.destroyed).toBe(true);
  });

  it("cuts off a reader that does not read, and keeps the others", () => {
    const stream = new EventStream(() => []);
    const [stuck, good] = [createReader(), createReader()];
    stream.add(stuck.response);
    stream.add(good.response);
    stuck.unread = 5 * 1024 * 1024;
    stream.send("status", {});
    expect([stuck.destroyed, good.destroyed, stream.readers]).toEqual([true, false, 1]);
    expect(good.text()).toContain("event: status");
    stream.close();
  });

  it("has a limit of readers", () => {
    const stream = new EventStream(() => []);
    const added = Array.from({ length: 40 }, () => stream.add(createReader().response));
    expect(added.filter(Boolean)).toHaveLength(32);
    stream.close();
  });
});
