/**
 * The text of an error, from its parts.
 *
 * `database "orders": 127.0.0.1:5432: connect ECONNREFUSED (Refused, ECONNREFUSED). Check that the server runs.`
 */

/** What the text is made of. */
export interface Parts {
  readonly database: string
  readonly what: string
  readonly advice: string
  readonly code?: string | undefined
  readonly committedBy?: string | undefined
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`

/** What happened and why, without a period: also of one of several failures in the text of another. */
export const summary = ({ code, what }: Pick<Parts, "code" | "what">, reason: string): string =>
  `${what.replace(/\.$/, "")} (${reason}${code === undefined ? "" : `, ${code}`})`

/** The text of an error of this reason. */
export const render = ({ advice, committedBy, database, ...parts }: Parts, reason: string): string =>
  `database "${database}": ${summary(parts, reason)}. ` +
  sentence(advice) +
  (committedBy === undefined
    ? ""
    : ` A part of its transaction may be applied: the database commits before ${committedBy}.`)

/** The reason of a timeout, with its limit where there is one. */
export const timeoutLabel = (phase: string, limitMillis: number | undefined): string =>
  limitMillis === undefined || !(limitMillis > 0 && limitMillis < Infinity)
    ? `${phase} timeout`
    : `${phase} timeout of ${limitMillis} ms`

/** A statement's text within another text: not more than its beginning. */
export const excerpt = (text: string): string => text.length <= 200 ? text : `${text.slice(0, 197)}...`
