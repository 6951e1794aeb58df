/**
 * What a command takes, in the words of this program.
 */

/** One option. */
export interface OptionShape {
  /** With their dashes; the long one is the last. */
  readonly names: ReadonlyArray<string>
  /** What its value is called; `undefined` where it has none. */
  readonly value: string | undefined
  /** The words that are accepted, where there are few. */
  readonly choices: ReadonlyArray<string>
  /** Its value is `key=value`, and it may be repeated. */
  readonly isMap: boolean
  readonly text: string
}

/** One argument without a name. */
export interface ArgumentShape {
  readonly name: string
  readonly isRequired: boolean
  readonly text: string
}

/** What a command takes. */
export interface Shape {
  readonly name: string
  readonly text: string
  readonly options: ReadonlyArray<OptionShape>
  readonly arguments: ReadonlyArray<ArgumentShape>
}
