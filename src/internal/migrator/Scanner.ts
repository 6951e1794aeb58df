/**
 * A text that arrives in pieces, and the place in it.
 *
 * @since 0.1.0
 */
import type { Place } from "./Statement.js"

/** A line feed. */
export const LF = 10
/** A carriage return. */
export const CR = 13

/** White space, and a byte order mark in the middle of a text. */
export const isWhite = (code: number) => code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0xfeff
/** 0 to 9. */
export const isDigit = (code: number) => code >= 48 && code <= 57
/** What a word begins with. */
export const isLetter = (code: number) =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || code >= 128
/** What a word goes on with. */
export const isWordPart = (code: number) => isLetter(code) || isDigit(code) || code === 36

/**
 * Moves over a text and knows its line and column. What was moved over may be cut off at any time.
 *
 * @since 0.1.0
 * @category models
 */
export class Scanner {
  /** What is not yet scanned, and the scanned part of it since the last cut. */
  protected buffer = ""
  protected at = 0
  /** Whether nothing comes any more. */
  protected final = false
  protected line = 1
  protected column = 1
  private afterCR = false

  /** Moves over `count` characters, which may hold line ends. */
  protected skip(count: number) {
    const { buffer } = this
    const end = this.at + count
    let { afterCR, at, column, line } = this
    for (; at < end; at++) {
      const code = buffer.charCodeAt(at)
      if (code === LF) {
        if (!afterCR) {
          line++
        }
        column = 1
        afterCR = false
      } else if (code === CR) {
        line++
        column = 1
        afterCR = true
      } else {
        column++
        afterCR = false
      }
    }
    this.at = end
    this.line = line
    this.column = column
    this.afterCR = afterCR
  }

  protected get place(): Place {
    return { line: this.line, column: this.column }
  }

  /** Whether `count` characters after the current one can be seen; at the end of the file always. */
  protected sees(count: number) {
    return this.final || this.at + count < this.buffer.length
  }

  protected isSpaceOrEnd(index: number) {
    const code = this.buffer.charCodeAt(index)
    return Number.isNaN(code) || code <= 32
  }

  /** The index of the line's end, or -1 when it cannot be seen yet. */
  protected endOfLine(from: number): number {
    const { buffer } = this
    for (let i = from; i < buffer.length; i++) {
      const code = buffer.charCodeAt(i)
      if (code === LF || code === CR) {
        return i
      }
    }
    return this.final ? buffer.length : -1
  }
}
