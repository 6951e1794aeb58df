/**
 * What a statement's text tells before it is sent.
 */
import { isWord, memoized, statementsOf, wordSet } from "../../sql/classify.js"
import { syntaxes } from "../../sql/Syntax.js"

export interface Traits {
  /** BEGIN, COMMIT, ROLLBACK, savepoints: never sent within a procedure, which must leave the transaction as it was. */
  readonly control: boolean
  readonly commit: boolean
  /** Undone with its transaction: nothing in it commits, as far as the words say. */
  readonly transactional: boolean
  /** May leave something on the connection that outlives its transaction: a setting, a table, a lock. */
  readonly dirties: boolean
  /** Takes a lock by name, which its session holds until it releases it. */
  readonly takesLock: boolean
  /** Names a setting that limits statements or waits for locks, and so may set it. */
  readonly limits: boolean
  /** Writes nothing, as far as the words say. */
  readonly reads: boolean
}

/**
 * The words of a text outside of strings, quoted names and comments, in upper case; with `#` for a temporary table's
 * name and `;` for what separates statements.
 */
const wordsOf = (text: string): ReadonlyArray<string> => {
  const words: Array<string> = []
  for (const { tokens } of statementsOf(text, syntaxes.mssql)) {
    if (words.length > 0) words.push(";")
    for (const token of tokens) {
      // A temporary table keeps its sign within quotes.
      if (token[0] === "#" || (token[1] === "#" && (token[0] === "[" || token[0] === "\""))) words.push("#")
      else if (isWord(token)) words.push(token)
    }
  }
  return words
}

const plain = wordSet(`
  select insert update delete merge with create alter drop truncate grant deny revoke begin commit rollback save print
  waitfor raiserror throw if while kill
`)

/** Words that may change the session, wherever they stand. */
const lasting = wordSet("# exec execute declare open cursor use dbcc revert setuser identity_insert reconfigure")

const writing = wordSet(`
  insert update delete merge into create alter drop truncate grant deny revoke exec execute bulk backup restore dbcc
  kill shutdown reconfigure writetext updatetext openrowset openquery opendatasource
`)

/** How a text without writes may begin. Anything else at the start of a batch is the name of a procedure. */
const readers = wordSet("select with set declare begin commit rollback save if while print waitfor raiserror throw use")

const count = (words: ReadonlyArray<string>, word: string): number => words.filter((one) => one === word).length

/** The owner of the lock stands in a string. */
const takesLock = /\bsp_getapplock\b[^;]*'session'/i

/**
 * Looks at a text. Cautious where it cannot know: what it does not recognise is taken to write and to leave something
 * behind. What a procedure or trigger does is not in the text. Statements need no semicolon between them here, so that it is the
 * words that tell, and not how a statement ends as it does in `controlOf`.
 */
export const traitsOf: (text: string) => Traits = memoized((text) => {
  const words = wordsOf(text)
  const [first = "", second = "", third] = words
  const isTransaction = second === "TRAN" || second === "TRANSACTION"
  // An isolation level in front of a BEGIN is ours.
  const begins = first === "SET" && second === "TRANSACTION" && third === "ISOLATION" && words.includes("BEGIN") &&
    words.includes(";")
  // The SET of an UPDATE belongs to it; any other is a setting.
  const hasSettings = count(words, "SET") > count(words, "UPDATE")
  return {
    control: begins || first === "COMMIT" || first === "ROLLBACK" ||
      ((first === "BEGIN" || first === "SAVE") && isTransaction),
    commit: first === "COMMIT" && !words.includes(";"),
    transactional: (plain.has(first) || readers.has(first)) &&
      !words.some((word) => word === "COMMIT" || word === "EXEC" || word === "EXECUTE"),
    dirties: !plain.has(first) || hasSettings || words.some((word) => lasting.has(word)),
    takesLock: takesLock.test(text),
    limits: words.includes("LOCK_TIMEOUT"),
    reads: (readers.has(first) || first === "") && !words.some((word) => writing.has(word))
  }
}, 16_384)

const outputting = wordSet("insert update delete merge with")
const silent = wordSet("insert update delete merge")

/** Whether the rows that the last statement of a text gives are those that it writes. Statements are told apart by their semicolons only. */
export const givesWritten = (text: string): boolean => {
  const tokens = statementsOf(text, syntaxes.mssql).at(-1)?.tokens ?? []
  return outputting.has(tokens[0] ?? "") && tokens.includes("OUTPUT")
}

/** Whether the last of several statements writes and gives no rows: those that came are of one before it. */
export const givesNone = (text: string): boolean => {
  const statements = statementsOf(text, syntaxes.mssql)
  const tokens = statements.at(-1)?.tokens ?? []
  return statements.length > 1 && silent.has(tokens[0] ?? "") && !tokens.includes("OUTPUT")
}

/** What a word that begins a statement leaves behind, in words. */
const left: Readonly<Record<string, string>> = { SET: "SET", USE: "USE", SETUSER: "SETUSER" }

/**
 * What the last statement of a text leaves in its session for statements to come, in words. Statements are told apart by
 * their semicolons only.
 */
export const leftBehind = (text: string): string | undefined => {
  const words = wordsOf(text)
  const last = words.slice(words.lastIndexOf(";") + 1)
  const [first = "", second = ""] = last
  const isDeclared = words.includes("DECLARE")
  if (
    (first === "CREATE" && second === "TABLE" && last[2] === "#") ||
    last.some((word, i) =>
      word === "INTO" && last[i + 1] === "#" && last.includes("SELECT") && first !== "INSERT" && first !== "MERGE"
    )
  ) {
    return "a temporary table"
  }
  if ((first === "EXEC" || first === "EXECUTE") && second === "AS") return "EXECUTE AS"
  if (last.some((word) => word === "SP_SET_SESSION_CONTEXT")) return "a value of the session"
  if (takesLock.test(text) && last.some((word) => word === "SP_GETAPPLOCK")) return "a lock by name"
  // `SET @x` is of its text, in which the variable was declared.
  if (first === "SET" && (isDeclared || second.startsWith("@"))) return undefined
  return Object.hasOwn(left, first) ? left[first] : undefined
}
