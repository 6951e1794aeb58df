/**
 * Pragmas of SQLite that do nothing, or fail, in a transaction.
 */
import { head, switchesOn } from "../driver/sqlite/text.js"

const unquote = (text: string): string => /^["'`[]/.test(text) ? text.slice(1, -1) : text

/** The name of a pragma that sets something, in capitals, without its schema and quotes. */
const assigned = (text: string): string | undefined => {
  const words = head(text, 6)
  const at = words[2] === "." ? 3 : 1
  return words[0] === "PRAGMA" && (words[at + 1] === "=" || words[at + 1] === "(") ? unquote(words[at]!) : undefined
}

/** What foreign keys are set to by a statement; `undefined` for any other one. */
export const foreignKeysOf = (text: string): boolean | undefined =>
  assigned(text) === "FOREIGN_KEYS" ? switchesOn(text) : undefined

const outside = new Set(["JOURNAL_MODE", "SYNCHRONOUS", "TEMP_STORE"])

/** Whether a statement is a pragma that has to run before BEGIN, and may: what stands around it is the same to it. */
export const runsBeforeBegin = (text: string): boolean => outside.has(assigned(text) ?? "")
