/** Turns batches into EVALSHA commands. */
import type { Keys } from '../keys.js';
import { arrayHead, bulk, bulkAscii, bulkJoined } from '../redis/resp.js';
import type { ScriptSet } from '../scripts/loading.js';
import { type Cells, hashBytes } from '../scripts/script.js';
import type { AnyScript, Batch } from './batch.js';

interface ScriptWire {
  /** `EVALSHA <sha1>` */
  readonly start: string;
  /** The fixed keys, by partition; filled as they are needed. */
  readonly fixedKeys: string[];
}

/** Writes cells as RESP. */
class RespCells implements Cells {
  text = '';
  count = 0;

  clear(): void {
    this.text = '';
    this.count = 0;
  }

  cell(value: string | number): void {
    this.count++;
    this.text += bulk(value);
  }

  hash(value: number): void {
    this.count++;
    this.text += HASH_START + hashBytes(value) + HASH_END;
  }
}

const HASH_START = '$6\r\n';
const HASH_END = '\r\n';

export class Encoder {
  private readonly wires = new Map<AnyScript, ScriptWire>();
  private readonly cells = new RespCells();

  constructor(
    private readonly keys: Keys,
    private readonly scripts: ScriptSet,
  ) {}

  /** One EVALSHA of all operations of the batch. @throws what an operation's encoder throws for a malformed one. */
  evalsha(batch: Batch): string {
    const { script, partition } = batch;
    const wire = this.wireOf(script);
    const cells = this.cells;
    cells.clear();
    script.encodeArgs(batch.once?.args, cells);
    if (script.vectorised) script.encodeOps(batch.once ? batch.once.ops : batch.ops, batch.itemIndex, cells);
    const keyCount = script.fixedKeys.length + script.itemKeys.length * batch.items.size;
    let out = arrayHead(3 + keyCount + cells.count) + wire.start + bulk(keyCount) + this.fixedKeys(wire, batch);
    for (const kind of script.itemKeys) {
      const base = this.keys.itemBasesOf(kind)[partition]!;
      for (const ref of batch.items.keys()) out += bulkJoined(base, ref);
    }
    return out + cells.text;
  }

  private fixedKeys(wire: ScriptWire, { script, partition }: Batch): string {
    const known = wire.fixedKeys[partition];
    if (known !== undefined) return known;
    const text = script.fixedKeys.map((kind) => bulkAscii(this.keys.fixedOf(kind)[partition]!)).join('');
    wire.fixedKeys[partition] = text;
    return text;
  }

  private wireOf(script: AnyScript): ScriptWire {
    let wire = this.wires.get(script);
    if (!wire) {
      wire = { start: bulkAscii('EVALSHA') + bulkAscii(this.scripts.sha1(script)), fixedKeys: [] };
      this.wires.set(script, wire);
    }
    return wire;
  }
}
