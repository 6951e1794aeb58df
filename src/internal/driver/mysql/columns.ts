/**
 * Names of columns that mysql2 refuses: it would give up the connection over them. They travel under other names.
 */
import type { FieldPacket } from "mysql2"
import { rowMaker } from "../row.js"

const refused = new Set(["__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"])

/** No name has this character: MySQL does not take it in one. */
const sign = "\0"

/** To be called with the columns of a result before mysql2 reads its rows. */
export const disguise = (fields: ReadonlyArray<FieldPacket> | undefined): void => {
  // A statement without rows has no columns.
  if (fields === undefined) return
  for (const field of fields) {
    if (refused.has(field.name)) field.name = sign + field.name
  }
}

type Row = Record<string, unknown>

/** Gives the rows of these columns their own names back; `undefined` where they have them. */
export const undisguise = (fields: ReadonlyArray<FieldPacket>): ((row: Row) => Row) | undefined => {
  const names = fields.map(({ name }) => name)
  if (!names.some((name) => name.startsWith(sign))) return undefined
  const make = rowMaker(names.map((name) => name.startsWith(sign) ? name.slice(1) : name), (value: unknown) => value)
  return (row) => make(names.map((name) => row[name]))
}
