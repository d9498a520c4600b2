/**
 * HPACK decoding (RFC 7541): static and dynamic table, Huffman strings, table size updates, every length bounded. Each
 * connection has its own decoder, because the dynamic table is per connection.
 */
import { ErrorCode } from "./frame.ts";
import { staticEntries, staticNames, staticValues } from "./hpack-static-table.ts";
import { ConnectionError } from "./http2-error.ts";
import { huffmanDecode, huffmanDecodedBytesMax } from "./huffman.ts";

/** Bytes that RFC 7541 §4.1 adds to name and value of every entry. */
export const entryOverheadBytes = 32;

/** Header fields in order of arrival. Strings hold one byte per character (latin1). */
export class FieldList {
  readonly names: string[] = [];
  readonly values: string[] = [];
  /** Size as RFC 9113 §6.5.2 counts it: name + value + 32 per field. */
  sizeBytes = 0;
  /** True when the size exceeded the limit; the fields that did not fit are dropped. */
  tooLarge = false;

  add(name: string, value: string, sizeMaxBytes: number): void {
    this.sizeBytes += name.length + value.length + entryOverheadBytes;
    if (this.sizeBytes > sizeMaxBytes) {
      this.tooLarge = true;
      return;
    }
    this.names.push(name);
    this.values.push(value);
  }
}

export class HpackDecoder {
  readonly #tableLimitBytes: number;
  readonly #listMaxBytes: number;
  /** The dynamic table as a ring; `#newest` is the slot of index 62. */
  readonly #names: string[];
  readonly #values: string[];
  #newest = 0;
  #entries = 0;
  #tableBytes = 0;
  #tableMaxBytes: number;
  #changes = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #scratch: Buffer = Buffer.alloc(0);

  /** `tableLimitBytes` is our SETTINGS_HEADER_TABLE_SIZE; `listMaxBytes` our SETTINGS_MAX_HEADER_LIST_SIZE. */
  constructor(tableLimitBytes: number, listMaxBytes: number) {
    this.#tableLimitBytes = tableLimitBytes;
    this.#tableMaxBytes = tableLimitBytes;
    this.#listMaxBytes = listMaxBytes;
    const slots = Math.max(1, Math.floor(tableLimitBytes / entryOverheadBytes));
    this.#names = new Array<string>(slots).fill("");
    this.#values = new Array<string>(slots).fill("");
  }

  /** Counts changes of the dynamic table: while it is unchanged, equal blocks decode to equal fields. */
  get changes(): number {
    return this.#changes;
  }

  /** The dynamic table's size in bytes, by RFC 7541 §4.1. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  /**
   * Decodes one whole header block. @throws ConnectionError COMPRESSION_ERROR: the table is then out of sync, and the
   * connection cannot continue.
   */
  decode(bytes: Buffer, start: number, end: number): FieldList {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const fields = new FieldList();
    while (this.#at < end && (bytes[this.#at]! & 0xe0) === 0x20) this.#resize(this.#integer(5));
    while (this.#at < end) this.#field(fields);
    return fields;
  }

  #field(fields: FieldList): void {
    const first = this.#bytes[this.#at]!;
    if (first >= 0x80) {
      const index = this.#integer(7);
      fields.add(this.#nameAt(index), this.#valueAt(index), this.#listMaxBytes);
      return;
    }
    if ((first & 0xe0) === 0x20) throw compressionError("table size update after a field");
    const indexed = first >= 0x40;
    const nameIndex = this.#integer(indexed ? 6 : 4);
    const name = nameIndex === 0 ? this.#string() : this.#nameAt(nameIndex);
    const value = this.#string();
    if (indexed) this.#insert(name, value);
    fields.add(name, value, this.#listMaxBytes);
  }

  #slot(index: number): number {
    const age = index - staticEntries - 1;
    if (age >= this.#entries) throw compressionError(`index ${index} is beyond the table`);
    return (this.#newest + this.#names.length - age) % this.#names.length;
  }

  #nameAt(index: number): string {
    if (index === 0) throw compressionError("index 0");
    return index <= staticEntries ? staticNames[index]! : this.#names[this.#slot(index)]!;
  }

  #valueAt(index: number): string {
    return index <= staticEntries ? staticValues[index]! : this.#values[this.#slot(index)]!;
  }

  #insert(name: string, value: string): void {
    this.#changes++;
    const size = name.length + value.length + entryOverheadBytes;
    this.#evictUntil(this.#tableMaxBytes - size);
    // An entry larger than the table empties it and is not kept (§4.4).
    if (size > this.#tableMaxBytes) return;
    this.#newest = (this.#newest + 1) % this.#names.length;
    this.#names[this.#newest] = name;
    this.#values[this.#newest] = value;
    this.#entries++;
    this.#tableBytes += size;
  }

  #evictUntil(bytes: number): void {
    while (this.#entries > 0 && this.#tableBytes > bytes) {
      const oldest = this.#slot(staticEntries + this.#entries);
      this.#tableBytes -= this.#names[oldest]!.length + this.#values[oldest]!.length + entryOverheadBytes;
      this.#names[oldest] = "";
      this.#values[oldest] = "";
      this.#entries--;
    }
  }

  #resize(bytes: number): void {
    if (bytes > this.#tableLimitBytes)
      throw compressionError(`table size ${bytes} is above the limit of ${this.#tableLimitBytes}`);
    this.#changes++;
    this.#tableMaxBytes = bytes;
    this.#evictUntil(bytes);
  }

  /** An integer with an N-bit prefix (§5.1); more than 2^28 is rejected, no field needs it. */
  #integer(prefixBits: number): number {
    const prefixMax = (1 << prefixBits) - 1;
    let value = this.#bytes[this.#at++]! & prefixMax;
    if (value < prefixMax) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) throw compressionError("integer is truncated");
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw compressionError("integer is too large");
  }

  #string(): string {
    if (this.#at >= this.#end) throw compressionError("string is missing");
    const huffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    if (length > this.#end - start) throw compressionError("string is truncated");
    this.#at = start + length;
    if (!huffman) return this.#bytes.toString("latin1", start, start + length);
    const room = huffmanDecodedBytesMax(length);
    if (this.#scratch.length < room) this.#scratch = Buffer.allocUnsafe(Math.max(256, room));
    const decoded = huffmanDecode(this.#bytes, start, start + length, this.#scratch);
    if (decoded < 0) throw compressionError("Huffman string is padded incorrectly or contains EOS");
    return this.#scratch.toString("latin1", 0, decoded);
  }
}

function compressionError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.compressionError, message);
}
