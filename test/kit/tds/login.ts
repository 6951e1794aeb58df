/** PRELOGIN (MS-TDS 2.2.6.5) and LOGIN7 (2.2.6.4). */
import { ProtocolError, Reader, Writer } from "./wire.js"

/** The ENCRYPTION option's values. */
export const encryption = { off: 0x00, on: 0x01, notSupported: 0x02, required: 0x03 } as const

const option = { version: 0, encryption: 1, instance: 2, threadId: 3, mars: 4, terminator: 0xff } as const

export interface Prelogin {
  readonly encryption: number
  /** Without its closing zero byte. */
  readonly instance: string
  readonly version: readonly [number, number, number]
}

/** The options of a PRELOGIN message. Offsets count from the message's first byte, big-endian. */
export const parsePrelogin = (data: Buffer): Prelogin => {
  const reader = new Reader(data)
  const options = new Map<number, Buffer>()
  for (;;) {
    const token = reader.u8()
    if (token === option.terminator) break
    const offset = reader.u16be()
    const length = reader.u16be()
    if (offset + length > data.length) throw new ProtocolError(`PRELOGIN option ${token} lies outside the message`)
    options.set(token, data.subarray(offset, offset + length))
  }
  const version = options.get(option.version)
  if (version === undefined || version.length !== 6) throw new ProtocolError("PRELOGIN without VERSION")
  const wanted = options.get(option.encryption)
  const instance = options.get(option.instance) ?? Buffer.alloc(0)
  const end = instance.indexOf(0)
  return {
    encryption: wanted === undefined || wanted.length === 0 ? encryption.notSupported : wanted[0]!,
    instance: instance.subarray(0, end === -1 ? instance.length : end).toString("latin1"),
    version: [version[0]!, version[1]!, version.readUInt16BE(2)]
  }
}

/** The server's PRELOGIN. */
export const preloginResponse = (
  version: readonly [number, number, number],
  answer: number
): Buffer => {
  const values: ReadonlyArray<readonly [number, Buffer]> = [
    [option.version, Buffer.from([version[0], version[1], version[2] >> 8, version[2] & 0xff, 0, 0])],
    [option.encryption, Buffer.from([answer])],
    [option.instance, Buffer.from([0])],
    [option.threadId, Buffer.alloc(0)],
    [option.mars, Buffer.from([0])]
  ]
  const writer = new Writer()
  let offset = values.length * 5 + 1
  for (const [token, value] of values) {
    writer.u8(token).u16be(offset).u16be(value.length)
    offset += value.length
  }
  writer.u8(option.terminator)
  for (const [, value] of values) writer.bytes(value)
  return writer.done()
}

/** What a client logs in with. */
export interface Login7 {
  readonly tdsVersion: number
  readonly packetSize: number
  readonly clientPid: number
  readonly hostname: string
  readonly username: string
  readonly password: string
  readonly application: string
  readonly server: string
  readonly library: string
  readonly language: string
  readonly database: string
  readonly readOnlyIntent: boolean
}

const passwordMask = 0xa5

/** Each byte: its halves exchanged, then XOR 0xA5. */
export const obfuscatePassword = (password: string): Buffer => {
  const bytes = Buffer.from(password, "utf16le")
  return Buffer.from(bytes.map((byte) => (byte << 4 & 0xf0 | byte >> 4) ^ passwordMask))
}

const revealPassword = (bytes: Buffer): string =>
  Buffer.from(bytes.map((byte) => {
    const clear = byte ^ passwordMask
    return clear << 4 & 0xf0 | clear >> 4
  })).toString("utf16le")

export const parseLogin7 = (data: Buffer): Login7 => {
  const reader = new Reader(data)
  const length = reader.u32()
  if (length !== data.length) throw new ProtocolError(`LOGIN7 says ${length} bytes and has ${data.length}`)
  const tdsVersion = reader.u32()
  const packetSize = reader.u32()
  reader.u32() // ClientProgVer
  const clientPid = reader.u32()
  reader.u32() // ConnectionID
  reader.u16() // OptionFlags1 and 2
  const typeFlags = reader.u8()
  reader.u8() // OptionFlags3
  reader.i32() // ClientTimeZone
  reader.u32() // ClientLCID
  const raw = (): Buffer => {
    const offset = reader.u16()
    const end = offset + reader.u16() * 2
    if (end > data.length) throw new ProtocolError("LOGIN7 field lies outside the message")
    return data.subarray(offset, end)
  }
  const text = (): string => raw().toString("utf16le")
  const hostname = text()
  const username = text()
  const password = revealPassword(raw())
  const application = text()
  const server = text()
  reader.u32() // where extensions are
  const library = text()
  const language = text()
  const database = text()
  return {
    tdsVersion,
    packetSize,
    clientPid,
    hostname,
    username,
    password,
    application,
    server,
    library,
    language,
    database,
    readOnlyIntent: (typeFlags & 0x20) !== 0
  }
}
