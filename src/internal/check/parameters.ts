/**
 * What parameters are, where the database does not say it: told from the column that one stands directly beside. And which of them may be
 * NULL.
 */
import type { Catalog, Column } from "./catalog.js"
import { isIdentifier, isSign, isWord, type Token } from "./tokens.js"

/** What is known of a parameter from where it stands. */
export interface Guess {
  /** TypeScript's type; `undefined` where that is not known, or two places say different things. */
  readonly type: string | undefined
  /** It is written to a column that takes NULL, or compared with it by IS. */
  readonly nullable: boolean
}

/** One use of a parameter. */
interface Use {
  readonly type: string | undefined
  readonly nullable: boolean
}

const unknown: Use = { type: undefined, nullable: false }

const comparing = new Set(["=", "<", ">", "!"])

/** Signs that make of two operands a third: a parameter beside one need not be what the column is. */
const operators = new Set(["+", "-", "*", "/", "%", "|", "&", "^", "~", ".", "(", "[", "#", "@", "?"])

/** Before these a comparison may end, and behind these one may begin. */
const isEnd = (token: Token | undefined): boolean =>
  token === undefined || token.kind === "word" && token.text !== "COLLATE" ||
  token.kind === "sign" && !operators.has(token.text)

const beginnings = ["WHERE", "AND", "OR", "ON", "NOT", "HAVING", "WHEN", "SET", "IF", "THEN", "ELSE"]

const isBeginning = (token: Token | undefined): boolean =>
  isWord(token, ...beginnings) || isSign(token, "(") || isSign(token, ",")

class Places {
  private readonly named: ReadonlyArray<ReadonlyMap<string, Column>>
  /** The column that each element of VALUES is written to, by the index of its token. */
  private readonly inserted = new Map<number, string>()

  constructor(private readonly tokens: ReadonlyArray<Token>, catalog: Catalog) {
    const names = new Set(tokens.filter(isIdentifier).map(({ id }) => id))
    this.named = [...catalog.tables].filter(([name]) => names.has(name)).map(([, columns]) => columns)
    this.readInsert(catalog)
  }

  /** A column of the tables that the statement names, where they agree on what it is. */
  private column(name: string): Column | undefined {
    const found = this.named.flatMap((columns) => columns.get(name) ?? [])
    const [first] = found
    return first === undefined || found.some(({ written }) => written !== first.written)
      ? undefined
      : { written: first.written, notNull: found.every(({ notNull: isNotNull }) => isNotNull) }
  }

  /** `INSERT INTO t (a, b) VALUES (:a, :b), ...`: which column stands behind which parameter. */
  private readInsert(catalog: Catalog): void {
    const { tokens } = this
    const into = tokens.findIndex((token) => token.depth === 0 && isWord(token, "INTO"))
    if (into < 0) return
    let at = into + 1
    while (isSign(tokens[at + 1], ".")) at += 2
    const table = tokens[at]
    if (!isIdentifier(table)) return
    const values = tokens.findIndex((token, i) => i > at && token.depth === 0 && isWord(token, "VALUES"))
    if (values < 0) return
    const listed = tokens.slice(at + 1, values).filter((token) => token.depth === 1 && isIdentifier(token))
    const columns = listed.length > 0
      ? listed.map(({ id }) => id)
      : [...catalog.tables.get(table.id)?.keys() ?? []]
    let element = 0
    for (let i = values + 1; i < tokens.length; i++) {
      const token = tokens[i]!
      if (token.depth === 0 && token.kind === "word") break
      const isNext = token.depth === 1 && isSign(token, ",")
      element = token.depth === 0 && isSign(token, "(") ? 0 : isNext ? element + 1 : element
      if (token.kind === "parameter" && token.depth === 1 && this.isAlone(i)) {
        const column = columns[element]
        if (column !== undefined) this.inserted.set(i, column)
      }
    }
  }

  /** Whether it is an element of a list by itself. */
  private isAlone(at: number): boolean {
    const before = this.tokens[at - 1]
    const after = this.tokens[at + 1]
    return (isSign(before, "(") || isSign(before, ",")) && (isSign(after, ")") || isSign(after, ","))
  }

  /** The column whose name ends at a token, where an expression begins with it. */
  private columnBefore(end: number): Column | undefined {
    const { tokens } = this
    const token = tokens[end]
    if (!isIdentifier(token)) return undefined
    let at = end
    while (isSign(tokens[at - 1], ".") && isIdentifier(tokens[at - 2])) at -= 2
    return isBeginning(tokens[at - 1]) ? this.column(token.id) : undefined
  }

  /** The column whose name begins at a token, where an expression ends with it. */
  private columnBehind(start: number): Column | undefined {
    const { tokens } = this
    let at = start
    if (!isIdentifier(tokens[at])) return undefined
    while (isSign(tokens[at + 1], ".") && isIdentifier(tokens[at + 2])) at += 2
    return isEnd(tokens[at + 1]) ? this.column(tokens[at]!.id) : undefined
  }

  /** `SET column = :p`, also behind ON CONFLICT and ON DUPLICATE KEY. */
  private isAssigned(equals: number): boolean {
    for (let i = equals; i >= 0; i--) {
      const token = this.tokens[i]!
      if (token.depth > this.tokens[equals]!.depth) continue
      if (isWord(token, "SET")) return true
      if (isWord(token, "WHERE", "FROM", "ON", "AND", "OR", "HAVING", "WHEN", "SELECT")) return false
      if (isWord(token, "UPDATE")) return isWord(this.tokens[i - 1], "KEY")
    }
    return false
  }

  /** What stands before a parameter says what it is. */
  private before(at: number): Use | undefined {
    const { tokens } = this
    const last = tokens[at - 1]
    if (isWord(last, "LIMIT", "OFFSET")) return { type: "number | bigint", nullable: false }
    if (isWord(last, "LIKE", "GLOB", "ILIKE")) return { type: "string", nullable: false }
    let sign = at - 1
    while (tokens[sign]?.kind === "sign" && comparing.has(tokens[sign]!.text)) sign--
    if (sign < at - 1) {
      const column = this.columnBefore(sign)
      return column && {
        type: column.written,
        nullable: sign === at - 2 && isSign(last, "=") && !column.notNull && this.isAssigned(at - 1)
      }
    }
    if (isWord(last, "IS") || isWord(last, "NOT") && isWord(tokens[at - 2], "IS")) {
      const column = this.columnBefore(isWord(last, "IS") ? at - 2 : at - 3)
      return { type: column?.written, nullable: true }
    }
    return this.between(at) ?? this.listed(at)
  }

  private between(at: number): Use | undefined {
    const { tokens } = this
    const from = isWord(tokens[at - 1], "BETWEEN")
      ? at - 1
      : isWord(tokens[at - 1], "AND") && isWord(tokens[at - 3], "BETWEEN")
      ? at - 3
      : undefined
    if (from === undefined) return undefined
    const column = this.columnBefore(isWord(tokens[from - 1], "NOT") ? from - 2 : from - 1)
    return column && { type: column.written, nullable: false }
  }

  /** `column IN (:a, :b)` */
  private listed(at: number): Use | undefined {
    const { tokens } = this
    if (!this.isAlone(at)) return undefined
    const { depth } = tokens[at]!
    let open = at - 1
    while (open >= 0 && tokens[open]!.depth >= depth) open--
    if (!isWord(tokens[open - 1], "IN")) return undefined
    const column = this.columnBefore(isWord(tokens[open - 2], "NOT") ? open - 3 : open - 2)
    return column && { type: column.written, nullable: false }
  }

  /** `:p = column`, `:p IS NULL` */
  private behind(at: number): Use | undefined {
    const { tokens } = this
    // Behind `::text`, too, which PostgreSQL needs to know what is compared with NULL.
    const is = isSign(tokens[at + 1], ":") && isSign(tokens[at + 2], ":") ? at + 4 : at + 1
    if (isWord(tokens[is], "IS") && (isWord(tokens[is + 1], "NULL") || isWord(tokens[is + 2], "NULL"))) {
      return { type: undefined, nullable: true }
    }
    let sign = at + 1
    while (tokens[sign]?.kind === "sign" && comparing.has(tokens[sign]!.text)) sign++
    const column = sign > at + 1 && isBeginning(tokens[at - 1]) ? this.columnBehind(sign) : undefined
    return column && { type: column.written, nullable: false }
  }

  /** What a parameter is in one place. */
  use(at: number): Use {
    const name = this.inserted.get(at)
    const column = name === undefined ? undefined : this.column(name)
    if (column !== undefined) return { type: column.written, nullable: !column.notNull }
    return (isEnd(this.tokens[at + 1]) ? this.before(at) : undefined) ?? this.behind(at) ?? unknown
  }
}

/** What each parameter of a statement is, by its name. */
export const guessParameters = (tokens: ReadonlyArray<Token>, catalog: Catalog): ReadonlyMap<string, Guess> => {
  const places = new Places(tokens, catalog)
  const uses = new Map<string, Array<Use>>()
  tokens.forEach((token, i) => {
    if (token.kind === "parameter") uses.set(token.text, [...uses.get(token.text) ?? [], places.use(i)])
  })
  return new Map(
    [...uses].map(([name, all]) => {
      const types = new Set(all.flatMap(({ type }) => type ?? []))
      return [name, { type: types.size === 1 ? [...types][0] : undefined, nullable: all.some((use) => use.nullable) }]
    })
  )
}
