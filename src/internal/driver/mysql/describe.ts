/**
 * What a statement takes and gives, as the server says when it has prepared it.
 */
import type { FieldPacket, PrepareStatementInfo } from "mysql2"
import Mysql from "mysql2"
import type { DescribedColumn, Description } from "../../../driver/Driver.js"

// Of the default import: see values.ts.
const { Types } = Mysql

/** A prepared statement with what mysql2's type of it leaves out. */
interface Info extends PrepareStatementInfo {
  readonly parameters: ReadonlyArray<unknown>
  readonly columns: ReadonlyArray<FieldPacket>
}

interface Words {
  readonly read: string | undefined
  readonly written: string | undefined
}

const flags = { notNull: 1, unsigned: 32 } as const

/** The character set that is none: of bytes. */
const binary = 63

const text: Words = { read: "string", written: "string" }
const number: Words = { read: "number", written: "number | bigint" }
const bytes: Words = { read: "Buffer", written: "Uint8Array | ArrayBuffer" }

const wordsOf = (field: FieldPacket): Words => {
  if (field.extendedFormat === "json") return { read: undefined, written: undefined }
  switch (field.columnType) {
    case Types.TINY:
    case Types.SHORT:
    case Types.INT24:
    case Types.LONG:
    case Types.YEAR:
    case Types.FLOAT:
    case Types.DOUBLE:
      return number
    case Types.LONGLONG:
      return { read: "number | string", written: "number | bigint | string" }
    case Types.DECIMAL:
    case Types.NEWDECIMAL:
      return { read: "string", written: "string | number | bigint" }
    case Types.DATE:
    case Types.NEWDATE:
    case Types.DATETIME:
    case Types.TIMESTAMP:
      return { read: "Date", written: "Date | string" }
    case Types.TIME:
      return text
    case Types.BIT:
    case Types.GEOMETRY:
      return field.columnType === Types.BIT ? bytes : { read: undefined, written: undefined }
    case Types.JSON:
    case Types.NULL:
      return { read: undefined, written: undefined }
    default:
      return field.characterSet === binary ? bytes : text
  }
}

const columnOf = (field: FieldPacket): DescribedColumn => ({
  name: field.name,
  ...wordsOf(field),
  origin: field.orgTable === "" || field.orgName === ""
    ? undefined
    : { table: field.orgTable, column: field.orgName },
  notNull: (Number(field.flags) & flags.notNull) !== 0
})

/** The server tells how many parameters there are, and of no type. */
export const describe = (prepared: PrepareStatementInfo): Description => {
  // The instance has them.
  const { columns, parameters } = prepared as Info
  return {
    parameters: parameters.map(() => undefined),
    columns: columns.length === 0 ? undefined : columns.map(columnOf)
  }
}
