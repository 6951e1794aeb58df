/**
 * Follows the words of a stored program of MySQL and MariaDB to know which of its semicolons is the last one. A body need
 * not be a BEGIN ... END: any statement may be one, so that it matters where a statement can begin.
 */

/** Words that begin a block where a statement can begin, and end it behind END. Elsewhere they are functions or clauses. */
const blocks = new Set(["BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"])

/** Blocks that MariaDB runs outside of a stored program. BEGIN alone begins a transaction there. */
const compound = new Set(["IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"])

/** What may stand between the parameters of a procedure and its body. */
const characteristics = new Set([
  "COMMENT",
  "LANGUAGE",
  "SQL",
  "NOT",
  "DETERMINISTIC",
  "CONTAINS",
  "NO",
  "READS",
  "MODIFIES",
  "DATA",
  "SECURITY",
  "DEFINER",
  "INVOKER"
])

const routines = new Set(["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"])

/** Where the first word of a statement leads: nothing to follow, still to be seen, or a program of this kind. */
type Kind = "none" | "unknown" | "PROCEDURE" | "FUNCTION" | "TRIGGER" | "EVENT"

const notRoutines = new Set([
  "TABLE",
  "TEMPORARY",
  "VIEW",
  "INDEX",
  "UNIQUE",
  "FULLTEXT",
  "SPATIAL",
  "DATABASE",
  "SCHEMA",
  "USER",
  "ROLE",
  "SERVER",
  "TABLESPACE",
  "SEQUENCE",
  "ALGORITHM",
  "LOGFILE"
])

export class StoredProgram {
  private kind: Kind = "unknown"
  private part: "header" | "returns" | "start" | "body" = "header"
  private readonly stack: Array<"block" | "expression"> = []
  private parentheses = 0
  private count = 0
  private first = ""
  private previous = ""
  /** The next word begins a statement. */
  private isStart = false
  /** The last word began a statement: with a colon it is a label. */
  private mayBeLabel = false
  /** The next word is a name of any kind. */
  private isName = false
  private handler: "no" | "declare" | "for" | "condition" | "conditions" = "no"
  private isUntil = false

  /** A word in capitals. */
  word(word: string, isAfterDot: boolean): void {
    if (isAfterDot) return this.other("0")
    this.count++
    const { isName, previous } = this
    this.previous = word
    this.isName = false
    if (this.count === 1) {
      this.first = word
      if (compound.has(word)) {
        this.part = "body"
        this.isStart = true
      } else {
        this.kind = word === "CREATE" || word === "ALTER" || word === "BEGIN" ? "unknown" : "none"
        return
      }
    }
    if (this.part === "body") {
      return isName ? this.plain() : this.statementWord(word, previous)
    }
    if (this.kind !== "none" && !isName) {
      this.header(word, previous)
    }
  }

  private header(word: string, previous: string): void {
    if (this.first === "BEGIN") return this.blockAlone(word, previous)
    if (this.kind === "unknown") {
      if (routines.has(word) && (this.first === "CREATE" || word === "EVENT")) this.kind = word as Kind
      else if (notRoutines.has(word)) this.kind = "none"
    } else if (this.parentheses === 0) {
      this.headerOf(word, previous)
    }
  }

  /** MariaDB's block without a program: BEGIN NOT ATOMIC. */
  private blockAlone(word: string, previous: string): void {
    if (word === "ATOMIC" && previous === "NOT" && this.count === 3) {
      this.open("block")
      this.part = "body"
      this.isStart = true
    } else if (this.count > 2) {
      this.kind = "none"
    }
  }

  /** A word outside of parentheses, once the kind is known. */
  private headerOf(word: string, previous: string): void {
    if (this.part === "start") {
      if (word === "FOLLOWS" || word === "PRECEDES") this.isName = true
      else if (this.kind !== "PROCEDURE" || !characteristics.has(word)) this.enter(word)
    } else if (this.part === "returns") {
      if (blocks.has(word) || word === "RETURN") this.enter(word)
    } else if (
      (this.kind === "TRIGGER" && word === "ROW" && previous === "EACH") || (this.kind === "EVENT" && word === "DO")
    ) {
      this.part = "start"
    } else if (this.kind === "FUNCTION" && word === "RETURNS") {
      this.part = "returns"
    }
  }

  /** The first word of the body. */
  private enter(word: string): void {
    this.part = "body"
    this.isStart = true
    this.statementWord(word, "")
  }

  private plain(): void {
    this.isStart = false
    this.mayBeLabel = false
  }

  private open(kind: "block" | "expression"): void {
    this.stack.push(kind)
  }

  private get isInBlock(): boolean {
    return this.stack.at(-1) === "block"
  }

  private statementWord(word: string, previous: string): void {
    if (this.followHandler(word)) {
      return this.plain()
    }
    const { isStart } = this
    this.isStart = false
    this.mayBeLabel = isStart
    if (previous === "END" && compound.has(word)) {
      // END IF: it was ended by END.
      return
    }
    if (word === "END") {
      if (isStart || this.isUntil || this.stack.at(-1) === "expression") {
        if (this.stack.pop() !== "expression") this.isUntil = false
      }
    } else if (isStart && blocks.has(word)) {
      this.open("block")
      this.isStart = word === "BEGIN" || word === "LOOP" || word === "REPEAT"
    } else if (isStart && word === "DECLARE") {
      this.handler = "declare"
    } else if (isStart && word === "UNTIL") {
      this.isUntil = true
    } else if (word === "CASE") {
      this.open("expression")
    } else if (!isStart && this.isInBlock && (word === "THEN" || word === "DO")) {
      this.isStart = true
    } else if (this.isInBlock && word === "ELSE") {
      this.isStart = true
    }
  }

  /** A handler's statement follows its conditions without a mark of its own. Says whether the word belongs to them. */
  private followHandler(word: string): boolean {
    switch (this.handler) {
      case "no":
        return false
      case "declare":
        if (word === "HANDLER") this.handler = "for"
        return true
      case "for":
        this.handler = "condition"
        return true
      case "condition":
        this.handler = "conditions"
        return true
      case "conditions":
        if (word === "VALUE" || word === "FOUND") return true
        this.handler = "no"
        this.isStart = true
        return false
    }
  }

  /** A sign, a number, or anything quoted. */
  other(sign: string): void {
    this.previous = ""
    const wasName = this.isName
    this.isName = sign === "@"
    if (this.handler === "condition") this.handler = "conditions"
    else if (this.handler === "conditions" && sign === ",") this.handler = "condition"
    if (sign === "(") {
      this.parentheses++
    } else if (sign === ")") {
      this.parentheses = Math.max(0, this.parentheses - 1)
      if (this.parentheses === 0 && this.kind === "PROCEDURE" && this.part === "header") this.part = "start"
    }
    const isLabel = sign === ":" && this.mayBeLabel
    // A label may be quoted.
    this.mayBeLabel = this.isStart && sign === "'"
    this.isStart = isLabel
    if (this.part === "start" && sign === "'" && !wasName && this.kind !== "PROCEDURE") {
      this.part = "body"
      this.mayBeLabel = true
    }
  }

  /** A semicolon: whether it is the last one. */
  semicolon(): boolean {
    this.previous = ""
    this.isStart = true
    this.mayBeLabel = false
    this.isUntil = false
    this.handler = "no"
    return this.stack.length === 0
  }
}
