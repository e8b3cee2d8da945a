// The two partners that come with the product.
#pragma once

#include <vector>

#include "postback/partner.h"

namespace postback::partner {

std::vector<Partner> shipped_partners();

}  // namespace postback::partner
