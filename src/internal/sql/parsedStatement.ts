/**
 * A statement with named parameters, as it was read.
 */

/** A name within the parentheses of an IN: `sole` where nothing else stands in them. */
export interface ListPlace {
  readonly sole: boolean
}

/** A statement cut at its parameters: `texts` has one more than `names`, and they alternate. */
export interface Parsed {
  readonly texts: ReadonlyArray<string>
  /** The name at each cut, in the order of the text. */
  readonly names: ReadonlyArray<string>
  /** How many different names there are. */
  readonly count: number
  /** The text with the dialect's placeholders. */
  readonly sql: string
  /** The name whose value is sent in each place. Numbered placeholders send a value once, others once for each use. */
  readonly order: ReadonlyArray<string>
  /** For each name whether it stands in the list of an IN, and how; `undefined` where none does. */
  readonly lists: ReadonlyArray<ListPlace | undefined> | undefined
  /** The names that stand behind an IN without its parentheses; `undefined` where none does. */
  readonly bare: ReadonlyArray<string> | undefined
  /** The first placeholder of the dialect's own beside the names: they cannot be mixed. */
  readonly placeholder: string | undefined
}
