// Replaces variables of types that the printer gets wrong by arrays of bytes.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/initial_values.h"

#include <algorithm>
#include <vector>

#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DataLayout.h"
#include "llvm/IR/Module.h"
#include "targets/ir/check_module.h"

namespace rbc::cuda {
namespace {

bool IsPrintable(llvm::Type* type, bool packed) {
  if (auto* integer = llvm::dyn_cast<llvm::IntegerType>(type)) {
    const unsigned bits = integer->getBitWidth();
    return (bits == 1 && !packed) || (bits % 8 == 0 && bits <= 128 && llvm::isPowerOf2_32(bits));
  }
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) return IsPrintable(vector->getElementType(), true);
  if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type)) return IsPrintable(array->getElementType(), false);
  if (auto* aggregate = llvm::dyn_cast<llvm::StructType>(type))
    return llvm::all_of(aggregate->elements(), [](llvm::Type* member) { return IsPrintable(member, false); });
  return true;
}

// Writes constants as they lie in memory.
class Speller {
 public:
  Speller(const llvm::DataLayout& layout, llvm::MutableArrayRef<uint8_t> bytes) : layout_(layout), bytes_(bytes) {}

  // False where a part of the value is an address.
  bool Spell(const llvm::Constant& value, uint64_t at) {
    if (value.isNullValue() || llvm::isa<llvm::UndefValue>(value)) return true;
    if (const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value.getType())) return Vector(value, *vector, at);
    if (const auto* structure = llvm::dyn_cast<llvm::StructType>(value.getType())) {
      const auto* places = layout_.getStructLayout(const_cast<llvm::StructType*>(structure));
      return Each(value, structure->getNumElements(),
                  [&](unsigned i) { return at + places->getElementOffset(i).getFixedValue(); });
    }
    if (const auto* array = llvm::dyn_cast<llvm::ArrayType>(value.getType())) {
      const uint64_t stride = layout_.getTypeAllocSize(array->getElementType()).getFixedValue();
      return Each(value, array->getNumElements(), [&](unsigned i) { return at + i * stride; });
    }
    llvm::APInt bits;
    return Scalar(value, &bits) && Write(bits, at);
  }

 private:
  bool Each(const llvm::Constant& value, uint64_t count, auto place) {
    for (unsigned i = 0; i < count; ++i) {
      if (!Spell(*value.getAggregateElement(i), place(i))) return false;
    }
    return true;
  }

  static bool Scalar(const llvm::Constant& value, llvm::APInt* bits) {
    if (const auto* number = llvm::dyn_cast<llvm::ConstantInt>(&value))
      *bits = number->getValue();
    else if (const auto* real = llvm::dyn_cast<llvm::ConstantFP>(&value))
      *bits = real->getValueAPF().bitcastToAPInt();
    else
      return false;
    return true;
  }

  // Elements lie bit by bit one behind the other.
  bool Vector(const llvm::Constant& value, const llvm::FixedVectorType& type, uint64_t at) {
    const unsigned width = layout_.getTypeSizeInBits(type.getElementType()).getFixedValue();
    llvm::APInt all(width * type.getNumElements(), 0);
    for (unsigned i = 0; i < type.getNumElements(); ++i) {
      const auto* element = value.getAggregateElement(i);
      if (element->isNullValue() || llvm::isa<llvm::UndefValue>(element)) continue;
      llvm::APInt bits;
      if (!Scalar(*element, &bits)) return false;
      all.insertBits(bits, i * width);
    }
    return Write(all, at);
  }

  bool Write(const llvm::APInt& bits, uint64_t at) {
    for (unsigned done = 0; done < bits.getBitWidth(); done += 8)
      bytes_[at++] = bits.extractBitsAsZExtValue(std::min(8u, bits.getBitWidth() - done), done);
    return true;
  }

  const llvm::DataLayout& layout_;
  const llvm::MutableArrayRef<uint8_t> bytes_;
};

Expected<llvm::Constant*> Bytes(const llvm::GlobalVariable& variable, llvm::ArrayType* type) {
  const auto& value = *variable.getInitializer();
  if (llvm::isa<llvm::UndefValue>(value)) return llvm::UndefValue::get(type);
  std::vector<uint8_t> bytes(type->getNumElements());
  if (!Speller(variable.getDataLayout(), bytes).Spell(value, 0))
    return ir::RefuseGlobal(variable, "an initial value of integers of odd widths beside addresses is not supported");
  return llvm::ConstantDataArray::get(variable.getContext(), bytes);
}

Status Spell(llvm::GlobalVariable& variable) {
  auto& module = *variable.getParent();
  const auto& layout = module.getDataLayout();
  auto* type = llvm::ArrayType::get(llvm::Type::getInt8Ty(module.getContext()),
                                    layout.getTypeAllocSize(variable.getValueType()));
  RBC_ASSIGN_OR_RETURN(auto* bytes, Bytes(variable, type));
  auto* spelt = new llvm::GlobalVariable(module, type, variable.isConstant(), variable.getLinkage(), bytes, "",
                                         &variable, llvm::GlobalValue::NotThreadLocal, variable.getAddressSpace());
  spelt->setAlignment(layout.getValueOrABITypeAlignment(variable.getAlign(), variable.getValueType()));
  spelt->takeName(&variable);
  variable.replaceAllUsesWith(spelt);
  variable.eraseFromParent();
  return {};
}

}  // namespace

Status SpellInitialValues(llvm::Module& module) {
  for (auto& variable : llvm::make_early_inc_range(module.globals())) {
    if (variable.hasInitializer() && !IsPrintable(variable.getValueType(), false)) RBC_RETURN_IF_ERROR(Spell(variable));
  }
  return {};
}

}  // namespace rbc::cuda
