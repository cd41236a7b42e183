/** An object of about 1 KiB of JSON, like a server's usual answer. */

export interface Item {
  id: number;
  name: string;
  price: { amount: number; currency: string };
  isInStock: boolean;
  tags: string[];
  variants: { sku: string; size: number; stock: number }[];
  text: string;
}

const sizes = [34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48];

const text =
  "A shoe for the hills: waterproof, warm, and light enough to forget. " +
  "The sole grips on wet rock, the heel is held, and the toes have room. " +
  "It is sewn, not glued, so that any cobbler can give it another sole. " +
  "Wax it before the first winter, dry it slowly, and it lasts for years.";

/** Makes the item of this number. */
export function createItem(id: number): Item {
  return {
    id,
    name: `Hill shoe ${id}`,
    price: { amount: 12_900 + id, currency: "EUR" },
    isInStock: true,
    tags: ["shoes", "hills", "winter", "waterproof", "repairable"],
    variants: sizes.map((size) => ({ sku: `HS-${size}`, size, stock: id % 7 })),
    text,
  };
}

/** True for the item of this number, by a look at its first and last members. */
export function isItem(item: Item, id: number): boolean {
  return item.id === id && item.price.amount === 12_900 + id &&
    item.variants.length === sizes.length && item.text === text;
}
