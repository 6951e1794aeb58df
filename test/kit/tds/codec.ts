/**
 * TYPE_INFO and values on the wire (MS-TDS 2.2.5.4 to 2.2.5.6): what clients send as parameters, what the server sends
 * as columns. Written from the specification alone, so that a mistake of a client's codec cannot hide behind the same
 * mistake here.
 */
import * as Calendar from "./calendar.js"
import * as Types from "./types.js"
import type { Kind, SqlType, Value } from "./types.js"
import { ProtocolError, type Reader, Writer } from "./wire.js"

/** Latin1_General_BIN2, code page 1252: what this server's comparisons do. */
export const collation = Buffer.from([0x09, 0x04, 0x00, 0x02, 0x00])

/** 0x80 to 0x9F, written out: Node 20's own decoder takes the code page for Latin-1 there. */
const upperControls = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
const latin1 = Array.from(
  { length: 256 },
  (_, i) => i >= 0x80 && i <= 0x9f ? upperControls[i - 0x80]! : String.fromCharCode(i)
)
const latin1Code = new Map(latin1.map((char, code) => [char, code]))

/** Text as code page 1252 holds it: what does not fit becomes `?`, as on the real server. */
export const toCodePage = (text: string): Buffer => Buffer.from(Array.from(text, (c) => latin1Code.get(c) ?? 0x3f))
export const fromCodePage = (bytes: Uint8Array): string => Array.from(bytes, (byte) => latin1[byte]!).join("")

/** Kinds with one length: the id, the length, and the id of the form that is never NULL and has no length before it. */
const sized: Readonly<Partial<Record<Kind, readonly [id: number, length: number, fixed: number | undefined]>>> = {
  bit: [0x68, 1, 0x32],
  tinyint: [0x26, 1, 0x30],
  smallint: [0x26, 2, 0x34],
  int: [0x26, 4, 0x38],
  bigint: [0x26, 8, 0x7f],
  real: [0x6d, 4, 0x3b],
  float: [0x6d, 8, 0x3e],
  smallmoney: [0x6e, 4, 0x7a],
  money: [0x6e, 8, 0x3c],
  datetime: [0x6f, 8, 0x3d],
  uniqueidentifier: [0x24, 16, undefined]
}
/** Kinds whose length is in two bytes. */
const variable: Readonly<Partial<Record<Kind, number>>> = {
  nvarchar: 0xe7,
  nchar: 0xef,
  varchar: 0xa7,
  char: 0xaf,
  varbinary: 0xa5,
  binary: 0xad
}
const temporal: Readonly<Partial<Record<Kind, number>>> = {
  date: 0x28,
  time: 0x29,
  datetime2: 0x2a,
  datetimeoffset: 0x2b
}
const decimalIds = [0x6a, 0x6c]

const kindOf = (ids: Readonly<Partial<Record<Kind, number>>>, id: number): Kind | undefined =>
  (Object.keys(ids) as Array<Kind>).find((kind) => ids[kind] === id)

/** Bytes of a time of this scale. */
const timeLength = (scale: number): number => scale <= 2 ? 3 : scale <= 4 ? 4 : 5
const decimalLength = (precision: number): number =>
  precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17

/** TYPE_INFO of a column or an output parameter. */
export const writeTypeInfo = (writer: Writer, type: SqlType, nullable: boolean): Writer => {
  const { kind, length, precision, scale } = type
  const one = sized[kind]
  if (one !== undefined) return nullable || one[2] === undefined ? writer.u8(one[0]).u8(one[1]) : writer.u8(one[2])
  if (kind === "decimal") return writer.u8(decimalIds[0]!).u8(decimalLength(precision)).u8(precision).u8(scale)
  if (kind === "date") return writer.u8(temporal.date!)
  if (Types.isTemporal(type)) return writer.u8(temporal[kind]!).u8(scale)
  writer.u8(variable[kind]!).u16(length === -1 ? 0xffff : Types.isUnicode(type) ? length * 2 : length)
  return Types.isBinary(type) ? writer : writer.bytes(collation)
}

/** TYPE_INFO of a parameter. */
const readTypeInfo = (reader: Reader): SqlType => {
  const id = reader.u8()
  const variableKind = kindOf(variable, id)
  if (variableKind !== undefined) {
    const type: SqlType = { ...Types.varchar(reader.u16()), kind: variableKind }
    if (!Types.isBinary(type)) reader.bytes(5)
    return { ...type, length: type.length === 0xffff ? -1 : Types.isUnicode(type) ? type.length / 2 : type.length }
  }
  const temporalKind = kindOf(temporal, id)
  if (temporalKind === "date") return Types.date
  if (temporalKind !== undefined) return { ...Types.time(reader.u8()), kind: temporalKind }
  const length = reader.u8()
  if (decimalIds.includes(id)) return Types.decimal(reader.u8(), reader.u8())
  const kind = (Object.keys(sized) as Array<Kind>).find((one) => sized[one]![0] === id && sized[one]![1] === length)
  if (kind === undefined) throw new Types.TsqlError(8009, `Parameter: data type 0x${id.toString(16)} is unknown.`)
  return Types.makeType(kind, [], false)
}

const plpNull = 0xffffffffffffffffn
const plpUnknownLength = 0xfffffffffffffffen
const plpChunk = 4000

const readPlp = (reader: Reader): Buffer | null => {
  const total = reader.u64()
  if (total === plpNull) return null
  const chunks: Array<Buffer> = []
  for (let length = reader.u32(); length > 0; length = reader.u32()) chunks.push(reader.bytes(length))
  const bytes = Buffer.concat(chunks)
  if (total !== plpUnknownLength && BigInt(bytes.length) !== total) {
    throw new ProtocolError(`PLP value of ${bytes.length} bytes, announced as ${total}`)
  }
  return bytes
}

const readVariable = (reader: Reader, type: SqlType): Value => {
  const length = type.length === -1 ? 0 : reader.u16()
  const data = type.length === -1 ? readPlp(reader) : length === 0xffff ? null : reader.bytes(length)
  return data === null
    ? null
    : Types.isBinary(type)
    ? Buffer.from(data)
    : Types.isUnicode(type)
    ? data.toString("utf16le")
    : fromCodePage(data)
}

const writeVariable = (writer: Writer, max: boolean, data: Buffer | null): Writer => {
  if (!max) return data === null ? writer.u16(0xffff) : writer.u16(data.length).bytes(data)
  if (data === null) return writer.u64(plpNull)
  writer.u64(BigInt(data.length))
  for (let at = 0; at < data.length; at += plpChunk) {
    const chunk = data.subarray(at, at + plpChunk)
    writer.u32(chunk.length).bytes(chunk)
  }
  return writer.u32(0)
}

/** An exact number: `unscaled / 10^scale`. */
export const decimalText = (unscaled: bigint, scale: number): string => {
  const sign = unscaled < 0n ? "-" : ""
  const text = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}
const unscaled = (text: string): bigint => BigInt(text.replace(".", ""))

const guidOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
const guidBytes = (bytes: Buffer): Buffer => Buffer.from(guidOrder.map((i) => bytes[i]!))

const epoch1900 = Calendar.parseDate("1900-01-01")

/** A time of day in units of 100 ns. */
const readTicks = (reader: Reader, length: number, scale: number): number => {
  const ticks = Number(reader.uint(length)) * 10 ** (7 - scale)
  if (ticks >= Calendar.ticksPerDay) throw new ProtocolError("time of day beyond 24 hours")
  return ticks
}
const writeTicks = (writer: Writer, ticks: number, scale: number): Writer =>
  writer.uint(BigInt(ticks / 10 ** (7 - scale)), timeLength(scale))

/** A value of so many bytes, that is not NULL. */
const readBody = (reader: Reader, { kind, precision, scale }: SqlType, length: number): Value => {
  switch (kind) {
    case "bit":
      return reader.u8() === 0 ? 0n : 1n
    case "tinyint":
      return reader.uint(length)
    case "smallint":
    case "int":
    case "bigint":
      return BigInt.asIntN(length * 8, reader.uint(length))
    case "real":
      return reader.f32()
    case "float":
      return reader.f64()
    case "decimal": {
      const positive = reader.u8() === 1
      const magnitude = reader.uint(length - 1)
      if (magnitude >= 10n ** BigInt(precision)) {
        throw new Types.TsqlError(8023, "Parameter: the supplied value is not a valid instance of data type numeric.")
      }
      return decimalText(positive ? magnitude : -magnitude, scale)
    }
    case "uniqueidentifier":
      return guidBytes(reader.bytes(16)).toString("hex").toUpperCase().replace(
        /^(.{8})(.{4})(.{4})(.{4})/,
        "$1-$2-$3-$4-"
      )
    case "date":
      return Calendar.formatDate(Number(reader.uint(3)))
    case "time":
      return Calendar.formatTime(readTicks(reader, length, scale))
    case "datetime2":
    case "datetimeoffset": {
      const ticks = readTicks(reader, timeLength(scale), scale)
      const moment = Calendar.formatDateTime(Number(reader.uint(3)), ticks)
      return kind === "datetime2" ? moment : moment + Calendar.formatOffset(reader.i16())
    }
    default:
      throw new ProtocolError(`a parameter of type ${kind}`)
  }
}

/** A value, without a length before it. */
const writeBody = (writer: Writer, type: SqlType, value: Exclude<Value, null>): Writer => {
  if (typeof value === "bigint") return writer.uint(BigInt.asUintN(64, value), sized[type.kind]![1])
  if (typeof value === "number") return type.kind === "real" ? writer.f32(value) : writer.f64(value)
  if (Buffer.isBuffer(value)) throw new Error(`test server fault: bytes where ${Types.typeText(type)} is meant`)
  switch (type.kind) {
    case "smallmoney":
      return writer.i32(Number(unscaled(value)))
    case "money": {
      const amount = unscaled(value)
      return writer.i32(Number(amount >> 32n)).u32(Number(amount & 0xffffffffn))
    }
    case "decimal": {
      const amount = unscaled(value)
      return writer.u8(amount < 0n ? 0 : 1).uint(amount < 0n ? -amount : amount, decimalLength(type.precision) - 1)
    }
    case "uniqueidentifier":
      return writer.bytes(guidBytes(Buffer.from(value.replaceAll("-", ""), "hex")))
    case "date":
      return writer.uint(BigInt(Calendar.parseDate(value)), 3)
    case "time":
      return writeTicks(writer, Calendar.parseTime(value), type.scale)
  }
  const { days, ticks } = Calendar.parseDateTime(value.slice(0, 27))
  switch (type.kind) {
    case "datetime":
      return writer.i32(days - epoch1900).u32(Math.round(ticks * 3 / 100_000))
    case "datetime2":
      return writeTicks(writer, ticks, type.scale).uint(BigInt(days), 3)
    case "datetimeoffset":
      return writeTicks(writer, ticks, type.scale).uint(BigInt(days), 3).i16(Calendar.parseOffset(value.slice(27)))
    default:
      throw new Error(`test server fault: a text where ${Types.typeText(type)} is meant`)
  }
}

/** A parameter's type and value. */
export const readParameter = (reader: Reader): { readonly type: SqlType; readonly value: Value } => {
  const type = readTypeInfo(reader)
  if (variable[type.kind] !== undefined) return { type, value: readVariable(reader, type) }
  const length = reader.u8()
  return { type, value: length === 0 ? null : readBody(reader, type, length) }
}

/** A value of a column, after its TYPE_INFO. */
export const encodeValue = (writer: Writer, type: SqlType, value: Value, nullable: boolean): Writer => {
  if (variable[type.kind] !== undefined) {
    const data = typeof value !== "string"
      ? value as Buffer | null
      : Types.isUnicode(type)
      ? Buffer.from(value, "utf16le")
      : toCodePage(value)
    return writeVariable(writer, type.length === -1, data)
  }
  if (!nullable && sized[type.kind]?.[2] !== undefined) {
    if (value === null) throw new Error(`test server fault: NULL in a ${Types.typeText(type)} that is never NULL`)
    return writeBody(writer, type, value)
  }
  if (value === null) return writer.u8(0)
  const body = writeBody(new Writer(), type, value).done()
  return writer.u8(body.length).bytes(body)
}
