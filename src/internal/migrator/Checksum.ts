/**
 * Checksums as Flyway computes them: CRC32 over the UTF-8 bytes of the lines without their ends, a byte order mark at
 * the beginning left out, as a signed 32 bit number.
 */

const table = /* @__PURE__ */ (() => {
  const entries = new Int32Array(256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let k = 0; k < 8; k++) {
      c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
    }
    entries[n] = c
  }
  return entries
})()

const bom = [0xef, 0xbb, 0xbf]

/** A checksum under way: fed with chunks of bytes, cut anywhere. */
export interface Checksum {
  readonly update: (bytes: Uint8Array) => void
  /** The checksum of what was fed so far. */
  readonly value: () => number
}

/**
 * Begins a checksum.
 *
 * A line's end is a byte 10 or 13 and nothing else in UTF-8 is, so that leaving these bytes out is the same as
 * splitting into lines.
 */
export const make = (): Checksum => {
  let crc = -1
  // How many bytes of the mark were seen at the very beginning; 3 or more: no longer looking for it.
  let head = 0
  const add = (byte: number) => {
    if (byte !== 10 && byte !== 13) {
      crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!
    }
  }
  return {
    update: (bytes) => {
      let i = 0
      while (head < 3 && i < bytes.length) {
        if (bytes[i] === bom[head]) {
          head++
          i++
          continue
        }
        // It was not a mark: the bytes held back count.
        for (let k = 0; k < head; k++) {
          add(bom[k]!)
        }
        head = 4
      }
      for (; i < bytes.length; i++) {
        add(bytes[i]!)
      }
    },
    value: () => {
      if (head === 1 || head === 2) {
        const before = crc
        for (let k = 0; k < head; k++) {
          add(bom[k]!)
        }
        const value = ~crc
        crc = before
        return value
      }
      return ~crc
    }
  }
}

/** The checksum of a whole text. */
export const ofText = (text: string): number => {
  const checksum = make()
  checksum.update(new TextEncoder().encode(text))
  return checksum.value()
}
