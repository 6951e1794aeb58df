/**
 * TYPE_INFO and values on the wire (MS-TDS 2.2.5.4 to 2.2.5.6): what clients send as parameters, what the server sends
 * as columns. Written from the specification alone, so that a mistake of a client's codec cannot hide behind the same
 * mistake here.
 *
 * Exports: `collation`, `readParameter`, `writeTypeInfo`, `encodeValue`.
 */
import {
  formatDate,
  formatDateTime,
  formatOffset,
  formatTime,
  parseDate,
  parseDateTime,
  parseOffset,
  parseTime,
  ticksPerDay
} from "./calendar.js"
import * as Types from "./types.js"
import type { SqlType, Value } from "./types.js"
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

const plpNull = 0xffffffffffffffffn
const plpUnknownLength = 0xfffffffffffffffen

const readPlp = (reader: Reader): Buffer | null => {
  const total = reader.u64()
  if (total === plpNull) return null
  const chunks: Array<Buffer> = []
  for (;;) {
    const length = reader.u32()
    if (length === 0) break
    chunks.push(reader.bytes(length))
  }
  const bytes = Buffer.concat(chunks)
  if (total !== plpUnknownLength && BigInt(bytes.length) !== total) {
    throw new ProtocolError(`PLP value of ${bytes.length} bytes, announced as ${total}`)
  }
  return bytes
}

const tenTo = (scale: number): number => 10 ** scale

/** Bytes of a time of this scale. */
const timeLength = (scale: number): number => scale <= 2 ? 3 : scale <= 4 ? 4 : 5

const digits = (unscaled: bigint, scale: number): string => {
  const sign = unscaled < 0n ? "-" : ""
  const text = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

const unscaled = (text: string): bigint => BigInt(text.replace(".", ""))

const decimalLength = (precision: number): number =>
  precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17

const guidOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
const readGuid = (bytes: Buffer): string => {
  const hex = Buffer.from(guidOrder.map((i) => bytes[i]!)).toString("hex").toUpperCase()
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
const writeGuid = (text: string): Buffer => {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex")
  const out = Buffer.alloc(16)
  guidOrder.forEach((from, to) => out[from] = bytes[to]!)
  return out
}

const epoch1900 = parseDate("1900-01-01")
const datetimeFrom = (days: number, threeHundredths: number): string =>
  // Ticks of 1/300 s are shown to the millisecond.
  formatDateTime(epoch1900 + days, Math.round(threeHundredths * 10 / 3) * 10_000)

const readInteger = (reader: Reader, length: number): { readonly type: SqlType; readonly value: Value } => {
  switch (length) {
    case 1:
      return { type: Types.tinyint, value: BigInt(reader.u8()) }
    case 2:
      return { type: Types.smallint, value: BigInt(reader.i16()) }
    case 4:
      return { type: Types.int, value: BigInt(reader.i32()) }
    case 8:
      return { type: Types.bigint, value: reader.i64() }
    default:
      throw new ProtocolError(`integer of ${length} bytes`)
  }
}
const integerType = (length: number): SqlType =>
  length === 1 ? Types.tinyint : length === 2 ? Types.smallint : length === 4 ? Types.int : Types.bigint

const readMoney = (reader: Reader, length: number): Value => {
  if (length === 4) return digits(BigInt(reader.i32()), 4)
  // The high half comes first.
  const high = BigInt(reader.i32())
  return digits(high << 32n | BigInt(reader.u32()), 4)
}

const readDatetime = (reader: Reader, length: number): Value =>
  length === 4
    ? ((days, minutes) => formatDateTime(epoch1900 + days, minutes * 600_000_000))(reader.u16(), reader.u16())
    : datetimeFrom(reader.i32(), reader.u32())

/** A parameter's type and value. */
export const readParameter = (reader: Reader): { readonly type: SqlType; readonly value: Value } => {
  const id = reader.u8()
  const nullable = (length: number, type: SqlType, read: (length: number) => Value) => ({
    type,
    value: length === 0 ? null : read(length)
  })
  switch (id) {
    case 0x1f:
      return { type: Types.nvarchar(1), value: null }
    case 0x30:
      return readInteger(reader, 1)
    case 0x34:
      return readInteger(reader, 2)
    case 0x38:
      return readInteger(reader, 4)
    case 0x7f:
      return readInteger(reader, 8)
    case 0x32:
      return { type: Types.bit, value: reader.u8() === 0 ? 0n : 1n }
    case 0x3b:
      return { type: Types.real, value: reader.f32() }
    case 0x3e:
      return { type: Types.float, value: reader.f64() }
    case 0x3c:
      return { type: Types.money, value: readMoney(reader, 8) }
    case 0x7a:
      return { type: Types.smallmoney, value: readMoney(reader, 4) }
    case 0x3d:
      return { type: Types.datetime, value: readDatetime(reader, 8) }
    case 0x3a:
      return { type: Types.smalldatetime, value: readDatetime(reader, 4) }
    case 0x26: {
      const type = integerType(reader.u8())
      return nullable(reader.u8(), type, (length) => readInteger(reader, length).value)
    }
    case 0x68:
      reader.u8()
      return nullable(reader.u8(), Types.bit, () => reader.u8() === 0 ? 0n : 1n)
    case 0x6d: {
      const type = reader.u8() === 4 ? Types.real : Types.float
      return nullable(reader.u8(), type, (length) => length === 4 ? reader.f32() : reader.f64())
    }
    case 0x6e: {
      const type = reader.u8() === 4 ? Types.smallmoney : Types.money
      return nullable(reader.u8(), type, (length) => readMoney(reader, length))
    }
    case 0x6f: {
      const type = reader.u8() === 4 ? Types.smalldatetime : Types.datetime
      return nullable(reader.u8(), type, (length) => readDatetime(reader, length))
    }
    case 0x24:
      reader.u8()
      return nullable(reader.u8(), Types.uniqueidentifier, (length) => readGuid(reader.bytes(length)))
    case 0x6a:
    case 0x6c: {
      reader.u8()
      const type = Types.decimal(reader.u8(), reader.u8())
      return nullable(reader.u8(), type, (length) => {
        const positive = reader.u8() === 1
        const magnitude = reader.uint(length - 1)
        if (magnitude >= 10n ** BigInt(type.precision)) {
          throw new Types.TsqlError(
            8023,
            `The incoming tabular data stream (TDS) protocol stream is incorrect. Parameter: the supplied value is not a valid instance of data type numeric.`
          )
        }
        return digits(positive ? magnitude : -magnitude, type.scale)
      })
    }
    case 0x28:
      return nullable(reader.u8(), Types.date, () => formatDate(Number(reader.uint(3))))
    case 0x29: {
      const type = Types.time(reader.u8())
      return nullable(reader.u8(), type, (length) => formatTime(readTicks(reader, length, type.scale)))
    }
    case 0x2a: {
      const type = Types.datetime2(reader.u8())
      return nullable(reader.u8(), type, (length) => {
        const ticks = readTicks(reader, length - 3, type.scale)
        return formatDateTime(Number(reader.uint(3)), ticks)
      })
    }
    case 0x2b: {
      const type = Types.datetimeoffset(reader.u8())
      return nullable(reader.u8(), type, (length) => {
        const ticks = readTicks(reader, length - 5, type.scale)
        const days = Number(reader.uint(3))
        return formatDateTime(days, ticks) + formatOffset(reader.i16())
      })
    }
    case 0xe7:
    case 0xef: {
      const bytes = reader.u16()
      reader.bytes(5)
      const max = bytes === 0xffff
      const type: SqlType = { ...Types.nvarchar(max ? -1 : bytes / 2), kind: id === 0xe7 ? "nvarchar" : "nchar" }
      const data = max ? readPlp(reader) : readShort(reader)
      if (data !== null && !max && data.length > bytes) throw new ProtocolError(`${data.length} bytes for ${bytes}`)
      return { type, value: data === null ? null : data.toString("utf16le") }
    }
    case 0xa7:
    case 0xaf: {
      const length = reader.u16()
      reader.bytes(5)
      const max = length === 0xffff
      const type: SqlType = { ...Types.varchar(max ? -1 : length), kind: id === 0xa7 ? "varchar" : "char" }
      const data = max ? readPlp(reader) : readShort(reader)
      return { type, value: data === null ? null : fromCodePage(data) }
    }
    case 0xa5:
    case 0xad: {
      const length = reader.u16()
      const max = length === 0xffff
      const type: SqlType = { ...Types.varbinary(max ? -1 : length), kind: id === 0xa5 ? "varbinary" : "binary" }
      const data = max ? readPlp(reader) : readShort(reader)
      return { type, value: data === null ? null : Buffer.from(data) }
    }
    default:
      throw new Types.TsqlError(
        8009,
        `The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Parameter: data type 0x${
          id.toString(16).toUpperCase()
        } is unknown to the test server.`
      )
  }
}

const readShort = (reader: Reader): Buffer | null => {
  const length = reader.u16()
  return length === 0xffff ? null : reader.bytes(length)
}

/** A time of day in units of 100 ns. */
const readTicks = (reader: Reader, length: number, scale: number): number => {
  const ticks = Number(reader.uint(length)) * tenTo(7 - scale)
  if (ticks >= ticksPerDay) throw new ProtocolError("time of day beyond 24 hours")
  return ticks
}

/** Types that have a form of their own where no value is NULL: no number of bytes stands before each value. */
const fixedTypes: Readonly<Partial<Record<Types.Kind, number>>> = {
  bit: 0x32,
  tinyint: 0x30,
  smallint: 0x34,
  int: 0x38,
  bigint: 0x7f,
  real: 0x3b,
  float: 0x3e,
  money: 0x3c,
  smallmoney: 0x7a,
  datetime: 0x3d,
  smalldatetime: 0x3a
}

/** TYPE_INFO of a column or an output parameter. */
export const writeTypeInfo = (writer: Writer, type: SqlType, nullable: boolean): Writer => {
  const fixed = nullable ? undefined : fixedTypes[type.kind]
  if (fixed !== undefined) return writer.u8(fixed)
  switch (type.kind) {
    case "bit":
      return writer.u8(0x68).u8(1)
    case "tinyint":
      return writer.u8(0x26).u8(1)
    case "smallint":
      return writer.u8(0x26).u8(2)
    case "int":
      return writer.u8(0x26).u8(4)
    case "bigint":
      return writer.u8(0x26).u8(8)
    case "real":
      return writer.u8(0x6d).u8(4)
    case "float":
      return writer.u8(0x6d).u8(8)
    case "smallmoney":
      return writer.u8(0x6e).u8(4)
    case "money":
      return writer.u8(0x6e).u8(8)
    case "smalldatetime":
      return writer.u8(0x6f).u8(4)
    case "datetime":
      return writer.u8(0x6f).u8(8)
    case "uniqueidentifier":
      return writer.u8(0x24).u8(16)
    case "decimal":
      return writer.u8(0x6a).u8(decimalLength(type.precision)).u8(type.precision).u8(type.scale)
    case "date":
      return writer.u8(0x28)
    case "time":
      return writer.u8(0x29).u8(type.scale)
    case "datetime2":
      return writer.u8(0x2a).u8(type.scale)
    case "datetimeoffset":
      return writer.u8(0x2b).u8(type.scale)
    case "nvarchar":
    case "nchar":
      return writer.u8(type.kind === "nvarchar" ? 0xe7 : 0xef).u16(type.length === -1 ? 0xffff : type.length * 2).bytes(
        collation
      )
    case "varchar":
    case "char":
      return writer.u8(type.kind === "varchar" ? 0xa7 : 0xaf).u16(type.length === -1 ? 0xffff : type.length).bytes(
        collation
      )
    case "varbinary":
    case "binary":
      return writer.u8(type.kind === "varbinary" ? 0xa5 : 0xad).u16(type.length === -1 ? 0xffff : type.length)
  }
}

const plpChunk = 4000

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

const wrongValue = (type: SqlType, value: Value): Error =>
  new Error(`test server fault: a ${typeof value} stands where ${Types.typeText(type)} is meant`)

/** A value of a column, after its TYPE_INFO. */
export const encodeValue = (writer: Writer, type: SqlType, value: Value, nullable: boolean): Writer => {
  if (nullable || fixedTypes[type.kind] === undefined) return encodeNullable(writer, type, value)
  if (value === null) throw new Error(`test server fault: NULL in a ${Types.typeText(type)} that is never NULL`)
  const inner = new Writer()
  encodeNullable(inner, type, value)
  return writer.bytes(inner.done().subarray(1))
}

const encodeNullable = (writer: Writer, type: SqlType, value: Value): Writer => {
  const max = type.length === -1
  switch (type.kind) {
    case "nvarchar":
    case "nchar":
      if (value !== null && typeof value !== "string") throw wrongValue(type, value)
      return writeVariable(writer, max, value === null ? null : Buffer.from(value, "utf16le"))
    case "varchar":
    case "char":
      if (value !== null && typeof value !== "string") throw wrongValue(type, value)
      return writeVariable(writer, max, value === null ? null : toCodePage(value))
    case "varbinary":
    case "binary":
      if (value !== null && !Buffer.isBuffer(value)) throw wrongValue(type, value)
      return writeVariable(writer, max, value)
  }
  if (value === null) return writer.u8(0)
  switch (type.kind) {
    case "bit":
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint": {
      if (typeof value !== "bigint") throw wrongValue(type, value)
      const length = type.kind === "bit" || type.kind === "tinyint"
        ? 1
        : type.kind === "smallint"
        ? 2
        : type.kind === "int"
        ? 4
        : 8
      return writer.u8(length).uint(BigInt.asUintN(64, value), length)
    }
    case "real":
    case "float":
      if (typeof value !== "number") throw wrongValue(type, value)
      return type.kind === "real" ? writer.u8(4).f32(value) : writer.u8(8).f64(value)
  }
  if (typeof value !== "string") throw wrongValue(type, value)
  switch (type.kind) {
    case "smallmoney":
      return writer.u8(4).i32(Number(unscaled(value)))
    case "money": {
      const amount = unscaled(value)
      return writer.u8(8).i32(Number(amount >> 32n)).u32(Number(amount & 0xffffffffn))
    }
    case "decimal": {
      const amount = unscaled(value)
      const length = decimalLength(type.precision)
      return writer.u8(length).u8(amount < 0n ? 0 : 1).uint(amount < 0n ? -amount : amount, length - 1)
    }
    case "uniqueidentifier":
      return writer.u8(16).bytes(writeGuid(value))
    case "date":
      return writer.u8(3).uint(BigInt(parseDate(value)), 3)
    case "time": {
      const length = timeLength(type.scale)
      return writer.u8(length).uint(BigInt(parseTime(value) / tenTo(7 - type.scale)), length)
    }
    case "smalldatetime": {
      const { days, ticks } = parseDateTime(value)
      return writer.u8(4).u16(days - epoch1900).u16(ticks / 600_000_000)
    }
    case "datetime": {
      const { days, ticks } = parseDateTime(value)
      return writer.u8(8).i32(days - epoch1900).u32(Math.round(ticks * 3 / 100_000))
    }
    case "datetime2": {
      const { days, ticks } = parseDateTime(value)
      const length = timeLength(type.scale)
      return writer.u8(length + 3).uint(BigInt(ticks / tenTo(7 - type.scale)), length).uint(BigInt(days), 3)
    }
    case "datetimeoffset": {
      const { days, ticks } = parseDateTime(value.slice(0, 27))
      const length = timeLength(type.scale)
      return writer.u8(length + 5).uint(BigInt(ticks / tenTo(7 - type.scale)), length).uint(BigInt(days), 3).i16(
        parseOffset(value.slice(27))
      )
    }
    default:
      throw wrongValue(type, value)
  }
}
