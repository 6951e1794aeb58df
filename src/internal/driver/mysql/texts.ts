/**
 * What a statement's text tells before it is sent.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
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
  /** May leave something on the connection that outlives its transaction: a setting, a table, a lock, a variable. */
  readonly dirties: boolean
  /** Names a setting that limits statements or waits for locks, and so may set it. */
  readonly limits: boolean
}

/** Whitespace, comments and opening parentheses. What is in `/*!` and `/*M!` is no comment: MySQL runs it. */
const leading = /^(?:\s+|--(?:[ \t][^\n]*)?(?:\n|$)|#[^\n]*(?:\n|$)|\/\*(?!M?!)[\s\S]*?\*\/|\()*/

const dml = "select|insert|update|delete|replace|with|values|table|do|show|explain|describe|desc"
const transactional = new RegExp(`^(?:${dml}|savepoint|release|rollback|begin|start|set)\\b`, "i")
const leavesNothing = new RegExp(
  `^(?:${dml}|savepoint|release|rollback|begin|start|commit|analyze|optimize|check|truncate|alter|drop|rename|grant` +
    "|revoke|create(?!\\s+(?:or\\s+replace\\s+)?temporary))\\b",
  "i"
)
const leavesSomething = /:=|\binto\s+@|\bget_lock\s*\(/i
const limits = /\b(?:max_statement_time|max_execution_time|(?:innodb_)?lock_wait_timeout)\b/i
const control = /^(?:commit|rollback|begin|start\s+transaction|savepoint|release\s+savepoint|set\s+transaction)\b/i
const boundary = /^(?:commit|rollback(?!(?:\s+work)?\s+to\b)|begin|start\s+transaction|set\s+transaction)\b/i
/** DDL and what else commits the open transaction before it runs. Temporary tables do not. */
const committing = new RegExp(
  "^(?:alter|rename|truncate|grant|revoke|analyze|optimize|repair|check|checksum|flush|reset|lock|unlock|install|uninstall" +
    "|cache\\s+index|load\\s+index|set\\s+password|(?:create(?:\\s+or\\s+replace)?|drop)(?!(?:\\s+or\\s+replace)?\\s+temporary))\\b",
  "i"
)
/** A BEGIN with an isolation level: MySQL takes that in a statement of its own. */
const beginning = /^set\s+transaction\s[^;]*;\s*start\s+transaction\b[^;]*$/i

/**
 * Looks at a text. Cautious where it cannot know: what it does not recognise is taken to leave something behind and to
 * commit. What a stored function does is not in the text.
 *
 * @since 0.1.0
 * @category getters
 */
export const traitsOf = (text: string): Traits => {
  const body = text.slice(leading.exec(text)![0].length)
  const several = /;\s*[^;\s]/.test(body) && !beginning.test(body)
  return {
    control: !several && control.test(body),
    commit: !several && /^commit\b/i.test(body),
    boundary: boundary.test(body),
    several,
    transactional: !several && transactional.test(body),
    dirties: several || !(leavesNothing.test(body) || beginning.test(body)) || leavesSomething.test(body),
    limits: limits.test(text)
  }
}

/**
 * Whether a text takes a lock by name, which its session holds until it releases it.
 *
 * @since 0.1.0
 * @category getters
 */
export const takesLock = (text: string): boolean => /\bget_lock\s*\(/i.test(text)

/**
 * Whether a text releases all such locks.
 *
 * @since 0.1.0
 * @category getters
 */
export const releasesLocks = (text: string): boolean => /\brelease_all_locks\s*\(/i.test(text)

/**
 * Whether a statement commits by itself what stands before it: DDL above all.
 *
 * @since 0.1.0
 * @category getters
 */
export const commitsImplicitly = (text: string): boolean => committing.test(text.slice(leading.exec(text)![0].length))

const global =
  /^set\s+(?:global|persist|persist_only|password|default\s+role|resource|transaction|@@\s*(?:global|persist|persist_only)\s*\.)/i
const temporary = /^create(?:\s+or\s+replace)?\s+temporary\b/i
const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/^set\s+@(?!@)/i, "a user variable"],
  [/^set\b/i, "SET"],
  [/^use\b/i, "USE"],
  [temporary, "a temporary table"],
  [/^prepare\b/i, "PREPARE"],
  [/^lock\s+(?:tables?|instance)\b/i, "LOCK TABLES"],
  [/^flush\s+tables?\b.*\b(?:read\s+lock|for\s+export)\b/is, "a lock of the session"],
  [/^handler\s+\S+\s+open\b/i, "HANDLER"],
  [/\bget_lock\s*\(/i, "a lock by name"],
  [/:=|\binto\s+@/i, "a user variable"]
]

/**
 * What one statement is sure to leave in its session for statements to come, in words. Read without its strings.
 *
 * @since 0.1.0
 * @category getters
 */
export const lastingOf = (statement: string): string | undefined => {
  const body = statement.slice(leading.exec(statement)![0].length).replace(/'(?:[^'\\]|\\[^]|'')*'/g, "''")
  if (global.test(body) || /^create(?!(?:\s+or\s+replace)?\s+temporary\b)/i.test(body)) return undefined
  return words.find(([pattern]) => pattern.test(body))?.[1]
}
