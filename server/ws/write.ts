/**
 * Answers, written as they come into one buffer that becomes one frame. The outer array is given its length last, in the four
 * bytes kept for it, so nothing is gathered before it is encoded and nothing is copied.
 */

const FRAME_HEADER = 5;
const START_BYTES = 4 * 1024;
/** Longest encoding of a number. */
const NUMBER_BYTES = 9;

export class FrameWriter {
  /** Messages in the frame. */
  count = 0;
  private buffer: Buffer;
  private at = FRAME_HEADER;

  constructor(bytes = START_BYTES) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  get capacity(): number {
    return this.buffer.length;
  }

  get length(): number {
    return this.at;
  }

  /** Begins a message of so many columns. */
  begin(columns: number): void {
    this.count++;
    this.array(columns);
  }

  array(length: number): void {
    this.room(5);
    const { buffer, at } = this;
    if (length < 16) {
      buffer[at] = 0x90 | length;
      this.at = at + 1;
    } else {
      buffer[at] = 0xdd;
      this.at = buffer.writeUInt32BE(length, at + 1);
    }
  }

  nil(): void {
    this.room(1);
    const { buffer, at } = this;
    buffer[at] = 0xc0;
    this.at = at + 1;
  }

  boolean(value: boolean): void {
    this.room(1);
    const { buffer, at } = this;
    buffer[at] = value ? 0xc3 : 0xc2;
    this.at = at + 1;
  }

  /** Whole numbers in their shortest form up to 32 bits; all others as 64-bit floats, which is what they are here. */
  number(value: number): void {
    this.room(NUMBER_BYTES);
    const { buffer, at } = this;
    if (value >= 0 && value <= 0xffff_ffff && Math.floor(value) === value) {
      if (value < 0x80) {
        buffer[at] = value;
        this.at = at + 1;
      } else if (value < 0x100) {
        buffer[at] = 0xcc;
        buffer[at + 1] = value;
        this.at = at + 2;
      } else if (value < 0x1_0000) {
        buffer[at] = 0xcd;
        this.at = buffer.writeUInt16BE(value, at + 1);
      } else {
        buffer[at] = 0xce;
        this.at = buffer.writeUInt32BE(value, at + 1);
      }
    } else if (value < 0 && value >= -32 && Math.floor(value) === value) {
      buffer[at] = value & 0xff;
      this.at = at + 1;
    } else {
      buffer[at] = 0xcb;
      this.at = buffer.writeDoubleBE(value, at + 1);
    }
  }

  text(value: string): void {
    // Three bytes a UTF-16 unit are enough for any text.
    this.room(5 + value.length * 3);
    const { buffer, at } = this;
    const { length } = value;
    if (length < 32) {
      let index = 0;
      for (; index < length; index++) {
        const code = value.charCodeAt(index);
        if (code >= 0x80) break;
        buffer[at + 1 + index] = code;
      }
      if (index === length) {
        buffer[at] = 0xa0 | length;
        this.at = at + 1 + length;
        return;
      }
    }
    const size = buffer.write(value, at + 5, 'utf8');
    buffer[at] = 0xdb;
    buffer.writeUInt32BE(size, at + 1);
    this.at = at + 5 + size;
  }

  /** Values that were encoded before. */
  raw(encoded: Buffer): void {
    this.room(encoded.length);
    const { buffer, at } = this;
    encoded.copy(buffer, at);
    this.at = at + encoded.length;
  }

  /** The frame. It lies in the writer's own buffer: send or copy it before the writer is used again. */
  finish(): Buffer {
    this.buffer[0] = 0xdd;
    this.buffer.writeUInt32BE(this.count, 1);
    const frame = this.buffer.subarray(0, this.at);
    this.at = FRAME_HEADER;
    this.count = 0;
    return frame;
  }

  /** What was written since `from`, without the frame around it. */
  since(from: number): Buffer {
    return Buffer.from(this.buffer.subarray(from, this.at));
  }

  private room(bytes: number): void {
    if (this.at + bytes > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
      this.buffer.copy(larger, 0, 0, this.at);
      this.buffer = larger;
    }
  }
}
