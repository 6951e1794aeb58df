/**
 * What a statement's text tells before it is sent.
 */

import { classify, codeOf, controlOf, memoized, statementsOf } from "../../sql/classify.js"
import { syntaxes } from "../../sql/Syntax.js"

export interface Traits {
  /** BEGIN, COMMIT, ROLLBACK, savepoints: sent as text, because preparing them costs a round trip each. */
  readonly control: boolean
  readonly commit: boolean
  /** BEGIN, COMMIT or ROLLBACK of a whole transaction. */
  readonly boundary: boolean
  /** More than one statement, or text that looks like it. */
  readonly several: boolean
  /** Undone with its transaction: everything but COMMIT and what commits implicitly. */
  readonly transactional: boolean
  /** Runs a stored program, or several statements as one: each commits for itself outside of a transaction, and it may COMMIT in one. */
  readonly runsProgram: boolean
  /** May leave something on the connection that outlives its transaction: a setting, a table, a lock, a variable. */
  readonly dirties: boolean
  /** Takes a lock by name, which its session holds until it releases it. */
  readonly takesLock: boolean
  /** Releases all such locks. */
  readonly releasesLocks: boolean
  /** Names a setting that limits statements or waits for locks, and so may set it. */
  readonly limits: boolean
}

const reading = "SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|VALUES|TABLE|DO|SHOW|EXPLAIN|DESCRIBE|DESC"
const temporary = /^CREATE(?: OR REPLACE)? TEMPORARY\b/
const transactional = new RegExp(`^(?:${reading}|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|START|SET)\\b`)
const program = /^(?:CALL|EXECUTE|BEGIN NOT ATOMIC|IF|CASE|FOR|LOOP|REPEAT|WHILE)\b/
const leavesNothing = new RegExp(
  `^(?:${reading}|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|START|COMMIT|ANALYZE|OPTIMIZE|CHECK|TRUNCATE|ALTER|DROP|RENAME|GRANT` +
    "|REVOKE|CREATE(?! (?:OR REPLACE )?TEMPORARY))\\b"
)
const setsVariable = /:\s*=|\bINTO\s*@/
const takesLock = /\bGET_LOCK\s*\(/
/** A setting may be named in a string that is prepared, too. */
const limits = /\b(?:max_statement_time|max_execution_time|(?:innodb_)?lock_wait_timeout)\b/i
/** DDL and what else commits the open transaction before it runs. Temporary tables do not. */
const committing = new RegExp(
  "^(?:ALTER|RENAME|TRUNCATE|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR|CHECK|CHECKSUM|FLUSH|RESET|LOCK|UNLOCK|INSTALL|UNINSTALL" +
    "|CACHE INDEX|LOAD INDEX|SET PASSWORD|(?:CREATE(?: OR REPLACE)?|DROP)(?!(?: OR REPLACE)? TEMPORARY))\\b"
)

/** Without one of these only the beginning of a text tells something. */
const within = /:\s*=|\binto\W+@|get_lock|release_all_locks/i
const beginning = 12

const codesOf = (text: string, most?: number): ReadonlyArray<string> =>
  statementsOf(text, syntaxes.mysql, undefined, most).map(({ tokens }) =>
    codeOf(tokens.slice(tokens.findIndex((token) => token !== "(")))
  )

/**
 * Looks at a text. Cautious where it cannot know: what it does not recognise is taken to leave something behind and to
 * commit. What a stored function does is not in the text.
 */
export const traitsOf: (text: string) => Traits = memoized((text) => {
  const codes = codesOf(text, within.test(text) ? undefined : beginning)
  const code = codes[0] ?? ""
  // Whether a backslash escapes depends on the server's mode: what stands in quotes is taken for code, too.
  const all = codes.join("; ") + (text.includes("\\") ? text.toUpperCase() : "")
  const { control, several: isSeveral } = classify(text, "mysql")
  // A BEGIN with an isolation level: MySQL takes that in a statement of its own.
  const begins = control === "begin"
  const hasSeveral = isSeveral && !begins
  const kind = controlOf(code.split(" "))
  return {
    control: !hasSeveral && kind !== undefined,
    commit: !hasSeveral && kind === "commit",
    boundary: kind !== undefined && kind !== "savepoint",
    several: hasSeveral,
    transactional: !hasSeveral && transactional.test(code),
    runsProgram: program.test(code),
    dirties: hasSeveral || !(leavesNothing.test(code) || begins) || setsVariable.test(all) || takesLock.test(all),
    takesLock: takesLock.test(all),
    releasesLocks: /\bRELEASE_ALL_LOCKS\s*\(/.test(all),
    limits: limits.test(text)
  }
})

/** Whether a statement commits by itself what stands before it: DDL above all. */
export const commitsImplicitly = (text: string): boolean => committing.test(codesOf(text, beginning)[0] ?? "")

const lastsNot =
  /^SET (?:GLOBAL|PERSIST|PERSIST_ONLY|PASSWORD|DEFAULT ROLE|RESOURCE|TRANSACTION|@ @ (?:GLOBAL|PERSIST|PERSIST_ONLY) \.)|^CREATE(?!(?: OR REPLACE)? TEMPORARY\b)/
const lasting: ReadonlyArray<readonly [RegExp, string]> = [
  [/^SET @(?! @)/, "a user variable"],
  [/^SET\b/, "SET"],
  [/^USE\b/, "USE"],
  [temporary, "a temporary table"],
  [/^PREPARE\b/, "PREPARE"],
  [/^LOCK (?:TABLES?|INSTANCE)\b/, "LOCK TABLES"],
  [/^FLUSH TABLES?\b.*\b(?:READ LOCK|FOR EXPORT)\b/, "a lock of the session"],
  [/^HANDLER \S+ OPEN\b/, "HANDLER"],
  [takesLock, "a lock by name"],
  [setsVariable, "a user variable"]
]

/** What one statement is sure to leave in its session for statements to come, in words. */
export const lastingOf = (statement: string): string | undefined => {
  const code = codesOf(statement)[0] ?? ""
  return lastsNot.test(code) ? undefined : lasting.find(([pattern]) => pattern.test(code))?.[1]
}
