/**
 * The bytes of TDS: reading and writing numbers and strings, and the packets that messages travel in (MS-TDS 2.2.3).
 */

/** The peer broke the protocol. A server answers it by dropping the link. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError"
}

/** Reads little-endian values from a message, and refuses to read past its end. */
export class Reader {
  offset: number
  constructor(readonly buffer: Buffer, offset = 0) {
    this.offset = offset
  }

  get remaining(): number {
    return this.buffer.length - this.offset
  }

  /** Moves over `length` bytes and returns where they begin. */
  private take(length: number): number {
    if (length > this.remaining) {
      throw new ProtocolError(`message ends ${length - this.remaining} bytes early at offset ${this.offset}`)
    }
    const start = this.offset
    this.offset += length
    return start
  }

  u8 = (): number => this.buffer.readUInt8(this.take(1))
  u16 = (): number => this.buffer.readUInt16LE(this.take(2))
  u16be = (): number => this.buffer.readUInt16BE(this.take(2))
  i16 = (): number => this.buffer.readInt16LE(this.take(2))
  u32 = (): number => this.buffer.readUInt32LE(this.take(4))
  i32 = (): number => this.buffer.readInt32LE(this.take(4))
  u64 = (): bigint => this.buffer.readBigUInt64LE(this.take(8))
  f32 = (): number => this.buffer.readFloatLE(this.take(4))
  f64 = (): number => this.buffer.readDoubleLE(this.take(8))

  bytes(length: number): Buffer {
    const start = this.take(length)
    return this.buffer.subarray(start, start + length)
  }

  /** `length` bytes as an unsigned little-endian number. */
  uint(length: number): bigint {
    const bytes = this.bytes(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i]!)
    return value
  }

  /** `chars` UTF-16 code units. */
  ucs2(chars: number): string {
    return this.bytes(chars * 2).toString("utf16le")
  }

  bVarchar(): string {
    return this.ucs2(this.u8())
  }
}

/** Writes little-endian values into a buffer that grows. */
export class Writer {
  private buffer = Buffer.allocUnsafe(1024)
  length = 0

  #put(size: number, write: (at: number) => void): this {
    const start = this.length
    this.length += size
    if (this.length > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length))
      this.buffer.copy(larger, 0, 0, start)
      this.buffer = larger
    }
    write(start)
    return this
  }

  u8 = (value: number): this => this.#put(1, (at) => this.buffer.writeUInt8(value, at))
  u16 = (value: number): this => this.#put(2, (at) => this.buffer.writeUInt16LE(value, at))
  u16be = (value: number): this => this.#put(2, (at) => this.buffer.writeUInt16BE(value, at))
  i16 = (value: number): this => this.#put(2, (at) => this.buffer.writeInt16LE(value, at))
  u32 = (value: number): this => this.#put(4, (at) => this.buffer.writeUInt32LE(value, at))
  u32be = (value: number): this => this.#put(4, (at) => this.buffer.writeUInt32BE(value, at))
  i32 = (value: number): this => this.#put(4, (at) => this.buffer.writeInt32LE(value, at))
  u64 = (value: bigint): this => this.#put(8, (at) => this.buffer.writeBigUInt64LE(value, at))
  f32 = (value: number): this => this.#put(4, (at) => this.buffer.writeFloatLE(value, at))
  f64 = (value: number): this => this.#put(8, (at) => this.buffer.writeDoubleLE(value, at))
  bytes = (value: Uint8Array): this => this.#put(value.length, (at) => this.buffer.set(value, at))

  /** The low `length` bytes of an unsigned number. */
  uint(value: bigint, length: number): this {
    for (let i = 0; i < length; i++) {
      this.u8(Number(value & 0xffn))
      value >>= 8n
    }
    return this
  }

  ucs2(value: string): this {
    return this.bytes(Buffer.from(value, "utf16le"))
  }

  bVarchar(value: string): this {
    return this.u8(value.length).ucs2(value)
  }

  usVarchar(value: string): this {
    return this.u16(value.length).ucs2(value)
  }

  /** Bytes with the number of them before, in two bytes. */
  sized16(write: (writer: Writer) => void): this {
    const inner = new Writer()
    write(inner)
    return this.u16(inner.length).bytes(inner.done())
  }

  done(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length))
  }
}

/** The bytes of a packet at most, its header among them. */
export const packetSize = 4096

/** What a message is (2.2.3.1.1). */
export const packetType = {
  sqlBatch: 0x01,
  rpc: 0x03,
  tabularResult: 0x04,
  attention: 0x06,
  login7: 0x10,
  prelogin: 0x12
} as const

/** Bits of the status byte (2.2.3.1.2). */
export const packetStatus = {
  endOfMessage: 0x01,
  ignore: 0x02,
  resetConnection: 0x08
} as const

/** A message, put together from its packets. */
export interface Message {
  readonly type: number
  /** The status bits of all its packets together. */
  readonly status: number
  readonly data: Buffer
}

const headerLength = 8

/** Puts messages together from what a socket gives, in whatever pieces it comes. */
export class MessageReader {
  private pending: Buffer = Buffer.alloc(0)
  private parts: Array<Buffer> = []
  private type: number | undefined
  private status = 0

  /** Gives the next piece, and returns the messages that are complete with it. */
  feed(chunk: Buffer): ReadonlyArray<Message> {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk])
    const messages: Array<Message> = []
    for (;;) {
      const message = this.next()
      if (message === undefined) return messages
      messages.push(message)
    }
  }

  private next(): Message | undefined {
    while (this.pending.length >= headerLength) {
      const length = this.pending.readUInt16BE(2)
      if (length < headerLength) throw new ProtocolError(`packet of ${length} bytes`)
      if (this.pending.length < length) return undefined
      const type = this.pending.readUInt8(0)
      const status = this.pending.readUInt8(1)
      if (this.type !== undefined && this.type !== type) {
        throw new ProtocolError(`packet of type ${type} inside a message of type ${this.type}`)
      }
      this.type = type
      this.status |= status
      this.parts.push(this.pending.subarray(headerLength, length))
      this.pending = this.pending.subarray(length)
      if ((status & packetStatus.endOfMessage) !== 0) {
        const message = { type, status: this.status, data: Buffer.concat(this.parts) }
        this.type = undefined
        this.status = 0
        this.parts = []
        return message
      }
    }
    return undefined
  }
}

/** One packet. `id` counts the packets of a message from 1. */
export const frame = (type: number, status: number, spid: number, id: number, payload: Uint8Array): Buffer => {
  const packet = Buffer.allocUnsafe(headerLength + payload.length)
  packet.writeUInt8(type, 0)
  packet.writeUInt8(status, 1)
  packet.writeUInt16BE(packet.length, 2)
  packet.writeUInt16BE(spid, 4)
  packet.writeUInt8(id & 0xff, 6)
  packet.writeUInt8(0, 7)
  packet.set(payload, headerLength)
  return packet
}
