/**
 * Statements and their places in a file.
 */

/**
 * A place in a file. Lines end with LF, CRLF or CR; both numbers begin at 1; a column is a UTF-16 unit, as in most
 * editors. A byte order mark is no column.
 */
export interface Place {
  readonly line: number
  readonly column: number
}

/**
 * One statement (SQL Server: one batch), from its first character up to its end mark. Comments before it are not part
 * of it.
 */
export interface Statement extends Place {
  readonly text: string
  /** Its first words, in capitals. */
  readonly words: ReadonlyArray<string>
  /** How often it is to run: `GO 5`. */
  readonly times: number
}

/** Why a file cannot be split, and where. */
export class SplitFault extends Error implements Place {
  override readonly name = "SplitFault"
  constructor(message: string, readonly line: number, readonly column: number, readonly advice?: string) {
    super(message)
  }
}

/** A place that moves over a text, which may come in pieces. */
export class Position {
  private line = 1
  private column = 1
  private isAfterReturn = false

  get place(): Place {
    return { line: this.line, column: this.column }
  }

  /** Moves over the characters from one index to another. */
  advance(text: string, from: number, to: number): this {
    for (let i = from; i < to; i++) {
      const code = text.charCodeAt(i)
      if (code === 13 || (code === 10 && !this.isAfterReturn)) {
        this.line++
        this.column = 1
      } else if (code === 10) {
        this.column = 1
      } else {
        this.column++
      }
      this.isAfterReturn = code === 13
    }
    return this
  }
}

/** The place after `text`, which begins at `from`. */
export const advance = (from: Place, text: string): Place => {
  const { column, line } = new Position().advance(text, 0, text.length).place
  return { line: from.line + line - 1, column: line === 1 ? from.column + column - 1 : column }
}
