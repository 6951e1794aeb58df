/**
 * Statements typed by hand that end a transaction of ours. Where such a text begins another one at once (`ROLLBACK AND
 * CHAIN`, or `ROLLBACK; BEGIN` in one text), the connection stands as before, and only the text tells that what was done is
 * gone.
 */
import type { Dialect } from "@effect/sql/Statement"
import { codeOf } from "../sql/Lexer.js"
import { syntaxes } from "../sql/Syntax.js"

/** How a text ends the transaction in which it runs. */
export interface TransactionEnd {
  readonly how: "commit" | "rollback"
  /** It is not alone in its text, so an error of the text does not say that it did not run. */
  readonly beside: boolean
}

const suspect = /\b(?:commit|rollback|abort|end|prepare|begin|start)\b/i
const work = "(?:\\s+(?:work|tran|transaction))?"
const chain = "(?:\\s+and\\s+(?:no\\s+)?chain)?(?:\\s+(?:no\\s+)?release)?"
const commit = new RegExp(`^(?:(?:commit|end)${work}${chain}|prepare\\s+transaction\\b.*)$`, "is")
const rollback = new RegExp(`^(?:rollback|abort)${work}${chain}$`, "i")
/** MySQL commits what is open before it begins another one. */
const another = /^(?:begin(?:\s+work)?|start\s+transaction\b.*)$/is
/** Their bodies hold statements that do not run now, and an END that ends only them. */
const body =
  /^(?:create|alter|do|declare|begin\s+(?!work|transaction|tran|deferred|immediate|exclusive|isolation|read)\w)/i

/** Texts are few in a program; one that makes them up as it goes must not fill the memory, nor may long ones. */
const remembered = 1_000
const longest = 2_000
const known = new Map<Dialect, Map<string, TransactionEnd | "none">>()

/** How a text ends the transaction in which it runs; `undefined` for nearly every text. */
export const transactionEndOf = (text: string, dialect: Dialect): TransactionEnd | undefined => {
  if (text.length > longest) {
    return look(text, dialect)
  }
  let texts = known.get(dialect)
  if (texts === undefined) {
    known.set(dialect, texts = new Map())
  }
  let found = texts.get(text)
  if (found === undefined) {
    found = look(text, dialect) ?? "none"
    if (texts.size >= remembered) {
      texts.clear()
    }
    texts.set(text, found)
  }
  return found === "none" ? undefined : found
}

const look = (text: string, dialect: Dialect): TransactionEnd | undefined =>
  suspect.test(text) ? find(text, dialect) : undefined

const find = (text: string, dialect: Dialect): TransactionEnd | undefined => {
  const parts = codeOf(text, syntaxes[dialect]).split(";").map((part) => part.trim()).filter((part) => part !== "")
  for (const part of parts) {
    const isCommit = commit.test(part) || (dialect === "mysql" && another.test(part))
    const how = isCommit ? "commit" : rollback.test(part) ? "rollback" : undefined
    if (how !== undefined) {
      return { how, beside: parts.length > 1 }
    }
    if (body.test(part)) {
      return undefined
    }
  }
  return undefined
}

/** One statement that begins, ends or divides a transaction, and is nothing else: no body, no prepared transaction. */
const control = new RegExp(
  `^(?:begin(?:\\s+(?:work|tran|transaction|deferred|immediate|exclusive|isolation|read)\\b[^;]*)?|start\\s+transaction\\b[^;]*` +
    `|(?:commit|end)${work}${chain}|(?:rollback|abort)${work}${chain}` +
    `|rollback${work}\\s+to\\b[^;]*|save(?:point|\\s+tran(?:saction)?)\\b[^;]*|release(?:\\s+savepoint)?\\s+[^\\s;]+)$`,
  "is"
)
const controls = new Map<Dialect, Map<string, boolean>>()

/** Whether a first word may be one of those: SELECT, INSERT, UPDATE and most others are told apart by two letters. */
const mayControl = (text: string): boolean => {
  let at = 0
  while (text.charCodeAt(at) <= 32) at++
  const first = text.charCodeAt(at) | 32
  const second = text.charCodeAt(at + 1) | 32
  switch (first) {
    case 98: // begin
      return second === 101
    case 99: // commit
      return second === 111
    case 101: // end
      return second === 110
    case 97: // abort
      return second === 98
    case 114: // rollback, release
      return second === 111 || second === 101
    case 115: // start, savepoint, save
      return second === 116 || second === 97
    default:
      // A comment.
      return first === 45 || first === 47 || first === 35
  }
}

/** Whether a text is a single statement that begins, ends or divides a transaction. It costs other texts a look at two letters. */
export const isControl = (text: string, dialect: Dialect): boolean => {
  if (!mayControl(text) || text.length > longest) {
    return false
  }
  let texts = controls.get(dialect)
  if (texts === undefined) {
    controls.set(dialect, texts = new Map())
  }
  let found = texts.get(text)
  if (found === undefined) {
    found = control.test(codeOf(text, syntaxes[dialect]).trim().replace(/(?:\s*;)+$/, ""))
    if (texts.size >= remembered) {
      texts.clear()
    }
    texts.set(text, found)
  }
  return found
}

/**
 * Whether a text begins with a BEGIN, and nothing behind that begins, ends or divides a transaction: what it has done is in
 * the transaction that is open behind it.
 */
export const beginsFirst = (text: string, dialect: Dialect): boolean => {
  const [first = "", ...others] = codeOf(text, syntaxes[dialect]).split(";").map((part) => part.trim()).filter((part) =>
    part !== ""
  )
  return /^(?:begin|start)\b/i.test(first) && control.test(first) && !others.some((part) => control.test(part))
}
