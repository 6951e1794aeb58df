/**
 * What is remembered of the texts that run on one connection: the handles of those that the server has prepared.
 */

/** A text with one list of parameter types. */
export interface Prepared {
  readonly key: string
  readonly text: string
  readonly declaration: string
  /** How often it has run since it was remembered. */
  uses: number
  /** The server's handle; `undefined` until it is prepared. */
  handle: number | undefined
}

/**
 * The least recently used go first. A text is prepared when it comes a second time: for one that comes once the
 * server's own cache of plans is enough.
 */
export class Statements {
  private readonly prepared = new Map<string, Prepared>()
  /** Names of parameters that the server takes for binary, by text: those for which a NULL was once refused. */
  readonly binaries = new Map<string, ReadonlySet<string>>()
  /** Handles of texts that had to go: to be given up on the server. */
  readonly evicted: Array<number> = []

  constructor(private readonly limit: number) {}

  learn(text: string, names: ReadonlySet<string>): void {
    if (this.binaries.size >= Math.max(16, this.limit)) this.binaries.delete(this.binaries.keys().next().value!)
    this.binaries.set(text, names)
  }

  /** The entry of a text and its declaration, now the most recently used; `undefined` where nothing is kept. */
  use(text: string, declaration: string): Prepared | undefined {
    if (this.limit === 0) return undefined
    // No declaration holds a NUL.
    const key = `${declaration}\0${text}`
    let entry = this.prepared.get(key)
    if (entry === undefined) {
      entry = { key, text, declaration, uses: 0, handle: undefined }
      if (this.prepared.size >= this.limit) {
        const [oldest] = this.prepared.values()
        this.prepared.delete(oldest!.key)
        if (oldest!.handle !== undefined) this.evicted.push(oldest!.handle)
      }
    } else {
      this.prepared.delete(key)
    }
    this.prepared.set(key, entry)
    entry.uses++
    return entry
  }

  /** The server has forgotten all handles. */
  forget(): void {
    this.prepared.clear()
    this.evicted.length = 0
  }
}
